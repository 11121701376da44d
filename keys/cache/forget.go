package cache

import "waxseal/keys"

// Forget has the store asked again for an entry, and for its versions: it has
// just been written. An answer that is on its way may still be an old one.
func (c *Cache) Forget(e keys.Entry) {
	for _, q := range []question{{Entry: e}, {Entry: e, versions: true}} {
		c.flights.Forget(q.String())
		c.mu.Lock()
		if el := c.items[q]; el != nil {
			delete(c.items, c.used.Remove(el).(*item).of)
		}
		c.mu.Unlock()
	}
}
