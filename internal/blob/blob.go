// Package blob is the one door to S3: a bucket with a key prefix, put, get, list and delete.
//
//	store, origin ──▶ [Bucket] ──▶ aws-sdk-go-v2 ──pool of connections──▶ S3
//
// Each call has a deadline. The SDK tries it Config.Attempts times within that deadline and then gives up:
// who must not lose an object (a recording's segment) retries above, with its own back-off.
//
// Bodies are signed with their SHA-256; CRC checksums are sent only where S3 demands them, because many
// compatible servers refuse the SDK's chunked trailers. AWS and versitygw accept this form.
package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/prometheus/client_golang/prometheus"
)

// Bucket is one bucket of one server, seen from below a key prefix. Safe for concurrent use.
type Bucket struct {
	// set by New
	cfg     Config
	client  *s3.Client
	pool    *http.Client
	metrics *metrics
}

// New reads the credentials where they are in a file; it does not talk to the server.
func New(ctx context.Context, cfg Config, reg prometheus.Registerer) (*Bucket, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bad S3 configuration: %w", err)
	}
	loaded, err := loadSDK(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	pool := freeze(&loaded)
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		o.DisableLogOutputChecksumValidationSkipped = true
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	})
	return &Bucket{cfg: cfg, client: client, pool: pool, metrics: newMetrics(reg)}, nil
}

func newTransport(cfg *Config) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxConnsPerHost = cfg.Connections
		t.MaxIdleConnsPerHost = cfg.Connections
		t.MaxIdleConns = cfg.Connections
		t.IdleConnTimeout = time.Minute
	})
}

// freeze builds the HTTP client once everything is known (a CA bundle of the environment included), and keeps
// hold of it so that Close can end its idle connections.
func freeze(loaded *aws.Config) *http.Client {
	pool := &http.Client{}
	if buildable, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
		if client, ok := buildable.Freeze().(*http.Client); ok {
			pool = client
		}
	}
	loaded.HTTPClient = pool
	return pool
}

func loadSDK(ctx context.Context, cfg *Config) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(cfg.Region),
		awsconfig.WithHTTPClient(newTransport(cfg)),
		awsconfig.WithRetryMaxAttempts(cfg.Attempts),
		awsconfig.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		awsconfig.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if cfg.CredentialsFile != "" {
		keys, err := readCredentials(ctx, cfg)
		if err != nil {
			return aws.Config{}, err
		}
		options = append(options, awsconfig.WithCredentialsProvider(keys))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("cannot load the SDK's configuration: %w", err)
	}
	return loaded, nil
}

// readCredentials reads the named file alone: a file that was asked for must not lose against a stray
// AWS_ACCESS_KEY_ID in the environment, which the SDK's own chain prefers.
func readCredentials(ctx context.Context, cfg *Config) (aws.CredentialsProvider, error) {
	profile, err := awsconfig.LoadSharedConfigProfile(ctx, cfg.Profile, func(o *awsconfig.LoadSharedConfigOptions) {
		o.CredentialsFiles = []string{cfg.CredentialsFile}
		o.ConfigFiles = []string{}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read credentials_file %q: %w", cfg.CredentialsFile, err)
	}
	keys := profile.Credentials
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return nil, fmt.Errorf("cannot use credentials_file %q: no keys in profile %q", cfg.CredentialsFile, cfg.Profile)
	}
	return credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken), nil
}

// Close gives the pool's idle connections back. Calls that are under way go on.
func (b *Bucket) Close() { b.pool.CloseIdleConnections() }

// EnsureBucket creates the bucket where it is missing. For development: elsewhere buckets are made by whoever
// owns the account, and the service has no right to.
func (b *Bucket) EnsureBucket(ctx context.Context) error {
	return b.call(ctx, "create_bucket", 0, func(ctx context.Context) error {
		_, err := b.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b.cfg.Bucket})
		var owned *types.BucketAlreadyOwnedByYou
		var exists *types.BucketAlreadyExists
		if err == nil || errors.As(err, &owned) || errors.As(err, &exists) {
			return nil
		}
		return fmt.Errorf("cannot create bucket %q: %w", b.cfg.Bucket, err)
	})
}

// CheckReady asks for the bucket: it fails where the server does not answer, refuses the keys, or has no such
// bucket.
func (b *Bucket) CheckReady(ctx context.Context) error {
	return b.call(ctx, "head_bucket", 0, func(ctx context.Context) error {
		if _, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.cfg.Bucket}); err != nil {
			return fmt.Errorf("cannot reach bucket %q: %w", b.cfg.Bucket, err)
		}
		return nil
	})
}

// call runs one operation under its deadline and counts it.
func (b *Bucket) call(ctx context.Context, op string, size int, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.deadline(size))
	defer cancel()
	start := time.Now()
	err := do(ctx)
	b.metrics.observe(op, err, time.Since(start))
	return err
}

// deadline is how long a call with size bytes of body may take.
func (b *Bucket) deadline(size int) time.Duration {
	return b.cfg.Timeout + time.Duration(int64(size)*int64(time.Second)/b.cfg.MinRate)
}

func (b *Bucket) key(key string) *string { return aws.String(b.cfg.Prefix + key) }
