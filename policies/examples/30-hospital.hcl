# Mail to a hospital, which wants to know who wrote it: only somebody who has
# logged in over TLS, and whose From is his own address, gets his own signature.
#
# authenticated and tls are conditions like the others. A message that doesn't
# meet them is not refused: it goes on to the next policy. So there is a second
# one, which encrypts all the same and signs with the organisation's key.

policy "hospital" {
  direction     = "outgoing"
  recipient     = ["*@hospital.example", "*@*.hospital.example"]
  authenticated = true
  tls           = "1.2"              # or later

  require_login_match = true         # From is the login or the envelope sender

  sign "smime" { digest = "sha384" }
  encrypt "smime" { cipher = "aes256-gcm" }
  on_key_not_found     = "reject"
  on_already_protected = "accept"    # what arrives encrypted passes as it is
}

policy "hospital-from-machines" {
  direction = "outgoing"
  recipient = ["*@hospital.example", "*@*.hospital.example"]

  sign "smime" { key = "org.example.com" } # an entry of the key store, by name
  encrypt "smime" { cipher = "aes256-gcm" }
  on_key_not_found = "reject"
}
