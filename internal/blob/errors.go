package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// ErrNotFound tells that the bucket holds no object under the key. A missing bucket is another error.
var ErrNotFound = errors.New("no such object")

// ErrRange tells that the object ends before the range begins.
var ErrRange = errors.New("range is past the object's end")

// wrap says what could not be done, as one of the errors above where a caller branches on it.
func wrap(verb, key string, err error) error {
	switch {
	case isMissing(err):
		return fmt.Errorf("cannot %s %q: %w", verb, key, ErrNotFound)
	case status(err) == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("cannot %s %q: %w", verb, key, ErrRange)
	default:
		return fmt.Errorf("cannot %s %q: %w", verb, key, err)
	}
}

func isMissing(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey", "NotFound":
			return true
		case "NoSuchBucket":
			return false
		}
	}
	return status(err) == http.StatusNotFound
}

// status is the HTTP status of the server's refusal; 0 where it did not answer.
func status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// code is the label of a call's outcome: few words, so that the metric stays small.
func code(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "404"
	case errors.Is(err, ErrRange):
		return "416"
	case status(err) >= 300:
		return strconv.Itoa(status(err))
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "network"
	}
}
