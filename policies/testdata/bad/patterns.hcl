policy "patterns" {
  direction  = "outgoing"
  originator = ["", "alice", "@example.com", ".example.com", "*.example.com", "al*@example.com", "alice@*.example.com"]
  recipient  = [
    "alice@",
    "*@",
    "*@*.",
    "*@-bad domain-.example",
    "a@b..example",
    "bob@example.com, carol@example.com",
    "Bob <bob@example.com>",
    "\"bob@example.com",
    "alice@ex\u0007ample.com",
    "*@[]",
    "*@*",
  ]
}
policy "empty" {
  direction = "outgoing"
  recipient = []
}
