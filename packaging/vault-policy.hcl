# vault policy write waxseal vault-policy.hcl
path "secret/data/waxseal/*" {
  capabilities = ["read"]
}

# For "waxseal check", which loads every entry.
path "secret/metadata/waxseal/*" {
  capabilities = ["list"]
}
