policy "a" { direction = "outgoing" recipient = ["x.example"] }
policy "b" {
  direction = 'outgoing'
  = 5
}
