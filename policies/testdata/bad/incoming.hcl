policy "incoming" {
  direction = "incoming"
  recipient = ["*@example.com"]
  decrypt {}
  verify { trust_anchors = ["partners"] }
  on_bad_signature = "accept"
}
policy "beside-it" {
  direction = "outgoing"
  on_key_not_found = "rejekt"
}
