# For the daemon: vault policy write waxseal vault-policy.hcl
# Nothing here can be left out where everything is used. Without keys in
# Transit leave out transit/*, without incoming mail transit/decrypt/*.

# Keys and certificates.
path "secret/data/waxseal/*" {
  capabilities = ["read"]
}

# "read": the older keys of an entry, which decrypt old mail.
# "list": for "waxseal check", which loads every entry.
path "secret/metadata/waxseal/*" {
  capabilities = ["read", "list"]
}

# The public parts of keys in Transit.
path "transit/keys/*" {
  capabilities = ["read"]
}

path "transit/sign/*" {
  capabilities = ["update"]
}

path "transit/decrypt/*" {
  capabilities = ["update"]
}
