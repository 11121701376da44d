# Every form of pattern, and the ways to write an address.
policy "one" {
  direction = "outgoing"
  recipient = ["Alice@bank.example", "\"john doe\"@bank.example", "postmaster@[192.0.2.1]"]
}
policy "folded" {
  direction       = "outgoing"
  recipient       = ["Dora@bank.example", "jürgen@bank.example"]
  fold_local_part = true
}
policy "domain" {
  direction = "outgoing"
  recipient = ["*@Bank.Example"]
}
policy "subdomains" {
  direction = "outgoing"
  recipient = ["*@*.bank.example"]
}
policy "bare" {
  direction = "outgoing"
  recipient = ["broker.example"]
}
policy "u-label" {
  direction = "outgoing"
  recipient = ["*@münchen.example"]
}
policy "a-label" {
  direction = "outgoing"
  recipient = ["*@xn--strae-oqa.example", "*@*.xn--strae-oqa.example"]
}
policy "literal" {
  direction = "outgoing"
  recipient = ["*@[IPv6:2001:db8::1]"]
}
policy "everyone" {
  direction  = "outgoing"
  originator = ["*@example.com"]
  recipient  = ["*"]
}
