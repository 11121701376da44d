policy "no-signature" {
  direction        = "outgoing"
  recipient        = ["*@a.example"]
  issue_on_demand  = true
}
policy "pgp" {
  direction = "outgoing"
  recipient = ["*@b.example"]
  sign "pgp" {}
  issue_on_demand = true
}
policy "named" {
  direction = "outgoing"
  recipient = ["*@c.example"]
  sign "smime" { key = "org.example.com" }
  issue_on_demand = true
}
policy "domain" {
  direction = "outgoing"
  recipient = ["*@d.example"]
  sign "smime" { key = "domain" }
  issue_on_demand = true
}
policy "word" {
  direction = "outgoing"
  sign "smime" {}
  issue_on_demand = "yes"
}
