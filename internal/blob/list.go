package blob

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Page is one answer of a listing, in the order of keys.
type Page struct {
	Objects []Info
	// Prefixes are the "folders": what keys have in common up to the delimiter, with it.
	Prefixes []string
}

// List walks the keys that begin with prefix, a page of up to 1000 at a time. With a delimiter, keys that go on
// after it are gathered in Page.Prefixes. The walk ends after the first error.
func (b *Bucket) List(ctx context.Context, prefix, delimiter string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		for token := (*string)(nil); ; {
			out, err := b.listPage(ctx, prefix, delimiter, token)
			if err != nil {
				yield(Page{}, fmt.Errorf("cannot list %q: %w", prefix, err))
				return
			}
			if !yield(b.page(out), nil) || !aws.ToBool(out.IsTruncated) {
				return
			}
			token = out.NextContinuationToken
		}
	}
}

func (b *Bucket) listPage(ctx context.Context, prefix, delimiter string, token *string) (out *s3.ListObjectsV2Output, err error) {
	err = b.call(ctx, "list", 0, func(ctx context.Context) (err error) {
		out, err = b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket: &b.cfg.Bucket, Prefix: b.key(prefix), Delimiter: optional(delimiter), ContinuationToken: token,
		})
		return err
	})
	return out, err
}

func (b *Bucket) page(out *s3.ListObjectsV2Output) Page {
	page := Page{Objects: make([]Info, 0, len(out.Contents))}
	for _, o := range out.Contents {
		page.Objects = append(page.Objects, Info{
			Key: strings.TrimPrefix(aws.ToString(o.Key), b.cfg.Prefix), Size: aws.ToInt64(o.Size),
			ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified),
		})
	}
	for _, p := range out.CommonPrefixes {
		page.Prefixes = append(page.Prefixes, strings.TrimPrefix(aws.ToString(p.Prefix), b.cfg.Prefix))
	}
	return page
}

// maxDelete is the most keys that S3 takes in one DeleteObjects.
const maxDelete = 1000

// Delete removes the objects under keys; one that is not there counts as removed.
func (b *Bucket) Delete(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		n := min(len(keys), maxDelete)
		if err := b.deleteBatch(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (b *Bucket) deleteBatch(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		ids[i].Key = b.key(key)
	}
	return b.call(ctx, "delete", 0, func(ctx context.Context) error {
		out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &b.cfg.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("cannot delete %d objects: %w", len(keys), err)
		}
		if len(out.Errors) > 0 {
			first := out.Errors[0]
			return fmt.Errorf("cannot delete %d of %d objects, the first is %q: %s",
				len(out.Errors), len(keys), aws.ToString(first.Key), aws.ToString(first.Message))
		}
		return nil
	})
}
