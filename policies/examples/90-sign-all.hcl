# All the rest is signed where there is a key: the originator's own, else that of
# the originator's domain. Who has none sends unsigned. It stands last, because
# it matches everything.

policy "sign-all" {
  direction = "outgoing"

  sign "smime" { key = "any" }
  on_key_not_found = "accept"
}
