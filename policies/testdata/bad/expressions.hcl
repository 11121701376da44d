policy "expressions" {
  direction     = upper("outgoing")
  originator    = [for a in b : a]
  recipient     = ["*@${domain}", var.domain]
  authenticated = !false
  tls           = 1 + 0.2
  fold_local_part = -1
  on_key_not_found = true ? "reject" : "accept"
  nonsense = "and the rest is still looked at"
}
