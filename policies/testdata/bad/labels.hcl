policy {
  direction = "outgoing"
}
policy "a" "b" {
  direction = "outgoing"
}
policy "one" {
  direction = "outgoing"
  header {}
  sign {}
  encrypt "smime" "pgp" {}
}
policy "" {
  direction = "outgoing"
}
policy "two words; x=y" {
  direction = "outgoing"
}
