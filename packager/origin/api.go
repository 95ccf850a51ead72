package origin

import (
	"encoding/json"
	"net/http"

	"nova/packager/present"
	"nova/packager/store"
)

// serveLive answers GET /api/v2/live. Anyone may ask.
func (o *Origin) serveLive(w *answer, r *http.Request) {
	w.kind = "live"
	streams := o.live.Live()
	if streams == nil {
		streams = []present.LiveStream{}
	}
	serveJSON(w, r, map[string][]present.LiveStream{"streams": streams})
}

// serveRecordings answers GET /api/v2/recordings. Anyone may ask.
func (o *Origin) serveRecordings(w *answer, r *http.Request) {
	w.kind = "recordings"
	list := []store.Recording{}
	if o.archive != nil {
		found, err := o.archive.Recordings(r.Context())
		if err != nil {
			o.failures.Add(err)
			w.unavailable()
			return
		}
		list = append(list, found...)
	}
	serveJSON(w, r, map[string][]store.Recording{"recordings": list})
}

func serveJSON(w *answer, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if err != nil { // a time beyond the year 9999
		w.fail(http.StatusInternalServerError, "cannot write the list")
		return
	}
	body = append(body, '\n')
	serve(w, r, &item{
		body: body, etag: sumTag(body), contentType: "application/json", cacheControl: cachePlaylist,
	})
}
