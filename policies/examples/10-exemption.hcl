# Mail that is left alone. A policy without sign and encrypt lets a message pass
# untouched; it stands first, because the first policy that matches holds.
#
# Here: the newsletter, which a service sends to thousands, and machines' reports
# to ourselves.

policy "newsletter" {
  direction  = "outgoing"
  originator = ["newsletter@example.com"]
}

policy "reports-to-ourselves" {
  direction  = "outgoing"
  originator = ["*@*.example.com"] # hosts: www.example.com, db1.example.com
  recipient  = ["*@example.com"]
}
