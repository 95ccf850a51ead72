package relay

import (
	"context"
	"net"
	"sync"
)

// feed hands the items of a blocking source to Next, so that Next can be given up without losing an item.
//
//	source ──runFeed──▶ items(1) ──▶ next
type feed struct {
	// set by newFeed
	items  chan Item
	closed chan struct{}
	once   sync.Once

	// set by runFeed before it closes items
	err error
}

func newFeed() *feed {
	return &feed{items: make(chan Item, 1), closed: make(chan struct{})}
}

// runFeed moves items until receive fails; io.EOF is what it returns at a proper end.
func (f *feed) runFeed(receive func() (Item, error)) {
	defer close(f.items)
	for {
		item, err := receive()
		if err != nil {
			f.err = err
			return
		}
		select {
		case f.items <- item:
		case <-f.closed:
			return
		}
	}
}

func (f *feed) next(ctx context.Context) (Item, error) {
	select {
	case <-f.closed:
		return Item{}, net.ErrClosed
	default:
	}
	select {
	case item, ok := <-f.items:
		if ok {
			return item, nil
		}
		return Item{}, f.end()
	case <-f.closed:
		return Item{}, net.ErrClosed
	case <-ctx.Done():
		return Item{}, ctx.Err()
	}
}

// end is why items was closed.
func (f *feed) end() error {
	if f.err == nil {
		return net.ErrClosed
	}
	return f.err
}

// close makes next return net.ErrClosed. It tells whether this call was the first.
func (f *feed) close() (first bool) {
	f.once.Do(func() {
		first = true
		close(f.closed)
	})
	return first
}
