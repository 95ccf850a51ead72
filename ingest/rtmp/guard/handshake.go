package guard

import "fmt"

// handshakeSize is what a client sends before chunks: C0, C1 and C2 (RTMP 1.0 §5.2).
const handshakeSize = 1 + 1536 + 1536

// readHandshake passes the handshake through, and ends connections whose first byte is another protocol's.
func (c *Conn) readHandshake(p []byte) (int, error) {
	n, err := c.in.Read(p[:min(len(p), handshakeSize-c.handshake)])
	if c.handshake == 0 && n > 0 {
		if err := checkVersion(p[0]); err != nil {
			return 0, &Violation{ReasonHandshake, err}
		}
	}
	c.handshake += n
	return n, err
}

func checkVersion(b byte) error {
	switch b {
	case 3:
		return nil
	case 6, 8:
		return fmt.Errorf("version %d (RTMPE) is not supported: publish with rtmp:// or rtmps://", b)
	case 0x16:
		return fmt.Errorf("TLS on the plain port: publish with rtmp://, or with rtmps:// to the TLS port")
	case 'G', 'P', 'H', 'O':
		return fmt.Errorf("HTTP on the RTMP port")
	default:
		return fmt.Errorf("version %d is not RTMP's 3", b)
	}
}
