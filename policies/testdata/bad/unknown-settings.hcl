direction = "outgoing"
polcy "a" {}
sign "smime" {}
policy = "a"
policy "typos" {
  direction  = "outgoing"
  recipients = ["*@bank.example"]
  origin     = ["*@example.com"]
  nonsense   = true
  header     = "Subject"
  sing "smime" {}
  recipient {}
  sign "smime" { kye = "any" }
  encrypt "smime" { ciphers = "aes256-gcm" }
  on_keynotfound = "reject"
}
