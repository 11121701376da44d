policy "words" {
  direction = "outbound"
  tls       = "1.4"
  sign "x509" {
    mode   = "clear"
    digest = "sha1"
    key    = "../secret"
  }
  encrypt "Smime" {
    cipher  = "3des"
    key_transport = "oaep"
    also_to = ["archive", "*@example.com", "a@b@example.com", "Archive <archive@example.com>"]
  }
  on_key_not_found     = "ignore"
  on_already_protected = "tempfail"
}
