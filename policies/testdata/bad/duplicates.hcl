policy "a" {
  direction = "outgoing"
  direction = "incoming"
  recipient = ["a.example"]
  sign "smime" {}
  sign "pgp" {}
}
policy "a" {
  direction = "outgoing"
  recipient = ["b.example"]
}
policy "a" {
  direction = "outgoing"
  recipient = ["c.example"]
}
