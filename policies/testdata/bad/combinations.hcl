policy "no-direction" {
  recipient = ["one.example"]
}
policy "no-action" {
  direction = "outgoing"
  recipient = ["two.example"]
  encrypt "smime" {}
}
policy "action-for-nothing" {
  direction            = "outgoing"
  recipient            = ["three.example"]
  on_key_not_found     = "reject"
  on_already_protected = "reject"
}
policy "pgp-with-smime" {
  direction = "outgoing"
  recipient = ["four.example"]
  sign "pgp" { mode = "opaque" }
  encrypt "pgp" { cipher = "aes256-gcm" }
  on_key_not_found = "reject"
}
policy "two-schemes" {
  direction = "outgoing"
  recipient = ["five.example"]
  sign "pgp" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
}
policy "smime-or-any" {
  direction = "outgoing"
  recipient = ["six.example"]
  sign "smime" {}
  encrypt "any" {}
  on_key_not_found = "reject"
}
policy "in" {
  direction     = "incoming"
  authenticated = true
  sign "smime" {}
  encrypt "smime" {}
  on_key_not_found = "reject"
}
policy "pgp-with-more-of-smime" {
  direction = "outgoing"
  recipient = ["seven.example"]
  sign "pgp" { pss = true }
  encrypt "pgp" { key_transport = "oaep-sha256" }
  on_key_not_found = "reject"
}
policy "smime-with-pgp" {
  direction = "outgoing"
  recipient = ["eight.example"]
  encrypt "smime" { hidden = true }
  on_key_not_found = "reject"
}
