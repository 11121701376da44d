# For those who store keys: vault policy write waxseal-admin vault-policy-admin.hcl
# Nothing here deletes anything for good.

path "secret/data/waxseal/*" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/waxseal/*" {
  capabilities = ["create", "read", "update", "list"]
}

path "transit/keys/*" {
  capabilities = ["read"]
}
