policy "a" {
  direction = "outgoing
}
policy "b" {
