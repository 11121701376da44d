# /etc/waxseal/waxseal.hcl: the daemon. docs/configuration.md has every setting.

listen       = ["unix:/run/waxseal/milter.sock"]
socket_group = "waxseal"

authserv_id = "mx1.example.com"
internal    = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"]
domains     = ["example.com"]
policies    = "policies"

# As in Postfix's main.cf, message_size_limit.
mta_message_size_limit = "10240000"

keys "vault" {
  address = "https://vault.example.com:8200"

  auth "approle" {
    role_id        = "fill in: vault read auth/approle/role/waxseal/role-id"
    secret_id_file = "secret-id"
  }

  kv    = "secret/waxseal"
  cache = "5m"
  stale = "1h"

  # Certificates from Vault's own authority, docs/vault.md:
  # issue {
  #   role = "smime"
  #   key  = "transit"
  # }
}
