# For a daemon that issues certificates itself (the issue block in keys "vault"),
# and for those who make keys, beside the other policy that they have:
# vault policy write waxseal-issue vault-policy-issue.hcl
# Nothing here can be left out where keys are made in Transit; with key = "local"
# leave out transit/keys/*.

# New keys and certificates.
path "secret/data/waxseal/smime/*" {
  capabilities = ["read", "update"]
}

path "secret/metadata/waxseal/smime/*" {
  capabilities = ["create", "read", "update"]
}

# One daemon at a time issues a certificate for an address.
path "secret/data/waxseal/locks/*" {
  capabilities = ["create", "read", "update"]
}

path "pki/sign/smime" {
  capabilities = ["update"]
}

path "transit/keys/*" {
  capabilities = ["update"]
}
