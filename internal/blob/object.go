package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Info describes a stored object.
type Info struct {
	// Key is below the bucket's prefix.
	Key string
	// Size is that of the whole object in bytes; -1 where Get is not told.
	Size int64
	// ETag is the server's, with its quotes.
	ETag string
	// ContentType and CacheControl are empty in a listing.
	ContentType, CacheControl string
	// Metadata is what Put was given, from Head alone.
	Metadata map[string]string
	Modified time.Time
}

// PutOptions are the headers that an object is later served with.
type PutOptions struct {
	ContentType, CacheControl string
	// Metadata is kept beside the object: lower-case names, printable ASCII values, 2 KB in all.
	Metadata map[string]string
}

// Put stores body under key, or fails with nothing stored. It does not keep body.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	err := b.call(ctx, "put", len(body), func(ctx context.Context) error {
		_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket:        &b.cfg.Bucket,
			Key:           b.key(key),
			Body:          bytes.NewReader(body),
			ContentLength: aws.Int64(int64(len(body))),
			ContentType:   optional(opts.ContentType),
			CacheControl:  optional(opts.CacheControl),
			Metadata:      opts.Metadata,
		})
		return err
	})
	if err != nil {
		return wrap("put", key, err)
	}
	b.metrics.bytes.WithLabelValues("put").Add(float64(len(body)))
	return nil
}

// Head describes the object under key. It fails with ErrNotFound where there is none.
func (b *Bucket) Head(ctx context.Context, key string) (Info, error) {
	var info Info
	err := b.call(ctx, "head", 0, func(ctx context.Context) error {
		out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.cfg.Bucket, Key: b.key(key)})
		if err != nil {
			return wrap("head", key, err)
		}
		info = Info{
			Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag),
			ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
			Metadata: out.Metadata,
			Modified: aws.ToTime(out.LastModified),
		}
		return nil
	})
	return info, err
}

// Range is a part of an object in bytes. The zero value is the whole object; Length 0 is up to the end.
type Range struct{ Offset, Length int64 }

func (r Range) header() *string {
	switch {
	case r == Range{}:
		return nil
	case r.Length == 0:
		return aws.String(fmt.Sprintf("bytes=%d-", r.Offset))
	default:
		return aws.String(fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
	}
}

// Object is an open object. Body must be closed.
type Object struct {
	Info
	// Body is the asked range. A read that gets nothing for Config.Timeout fails.
	Body io.ReadCloser
	// Length is the number of bytes in Body; -1 where the server does not say.
	Length int64
}

// Get opens the object under key. It fails with ErrNotFound where there is none, and with ErrRange where rng
// begins past its end. The deadline is for the answer to begin; then for each read of the body.
func (b *Bucket) Get(ctx context.Context, key string, rng Range) (*Object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(b.cfg.Timeout, func() { cancel(context.DeadlineExceeded) })
	start := time.Now()
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &b.cfg.Bucket, Key: b.key(key), Range: rng.header(),
	})
	timer.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		err = wrap("get", key, err)
		cancel(nil)
	}
	b.metrics.observe("get", err, time.Since(start))
	if err != nil {
		return nil, err
	}
	return b.opened(key, out, &body{ctx: ctx, from: out.Body, timer: timer, timeout: b.cfg.Timeout, cancel: cancel, metrics: b.metrics}), nil
}

func (b *Bucket) opened(key string, out *s3.GetObjectOutput, body io.ReadCloser) *Object {
	length := int64(-1)
	if out.ContentLength != nil {
		length = *out.ContentLength
	}
	return &Object{
		Info: Info{
			Key: key, Size: wholeSize(aws.ToString(out.ContentRange), length), ETag: aws.ToString(out.ETag),
			ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
			Modified: aws.ToTime(out.LastModified),
		},
		Body:   body,
		Length: length,
	}
}

// wholeSize reads the object's size from "bytes 0-9/100" (RFC 9110 §14.4), or takes length where there is none.
func wholeSize(contentRange string, length int64) int64 {
	if _, total, ok := strings.Cut(contentRange, "/"); ok {
		if n, err := strconv.ParseInt(total, 10, 64); err == nil {
			return n
		}
	}
	return length
}

// ReadAll gets a whole object of at most limit bytes.
func (b *Bucket) ReadAll(ctx context.Context, key string, limit int64) ([]byte, Info, error) {
	object, err := b.Get(ctx, key, Range{})
	if err != nil {
		return nil, Info{}, err
	}
	defer object.Body.Close()
	data, err := readBody(object, limit)
	if err != nil {
		return nil, Info{}, fmt.Errorf("cannot get %q: %w", key, err)
	}
	object.Size = int64(len(data))
	return data, object.Info, nil
}

// readBody reads an object's body into a slice of its size; one of unknown length as far as limit.
func readBody(object *Object, limit int64) ([]byte, error) {
	switch {
	case object.Length > limit:
		return nil, fmt.Errorf("its %d bytes are over the limit of %d", object.Length, limit)
	case object.Length >= 0:
		data := make([]byte, object.Length)
		_, err := io.ReadFull(object.Body, data)
		return data, err
	}
	data, err := io.ReadAll(io.LimitReader(object.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is over the limit of %d bytes", limit)
	}
	return data, err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
