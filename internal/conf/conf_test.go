package conf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type rung struct {
	Name   string `yaml:"name" doc:"name"`
	Height int    `yaml:"height" doc:"height"`
}

type sub struct {
	Address string        `yaml:"address" doc:"listens here"`
	Timeout time.Duration `yaml:"timeout" doc:"gives up after"`
}

type config struct {
	Dir    string   `yaml:"dir" doc:"folder"`
	RTMP   sub      `yaml:"rtmp"`
	Levels []string `yaml:"levels" doc:"words"`
	Rungs  []rung   `yaml:"rungs" doc:"ladder"`
	Max    int      `yaml:"max" doc:"most of them"`
}

func (c *config) Validate() error {
	if c.Max < 0 {
		return errors.New("max: must not be negative")
	}
	return nil
}

func defaults() *config {
	return &config{
		Dir: ".nova", RTMP: sub{":1935", 10 * time.Second}, Levels: []string{"a", "b"},
		Rungs: []rung{{"720p", 720}}, Max: 3,
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nova.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadLaterSourceWins(t *testing.T) {
	c := defaults()
	err := Load(c, Sources{
		File:    write(t, "rtmp: {address: ':1', timeout: 5s}\nlevels: [x]\nrungs: [{name: 480p, height: 480}]\nmax: 7\n"),
		Environ: []string{"NOVA_RTMP_ADDRESS=:2", "NOVA_MAX=8", "NOVA_CLIP=/x", "HOME=/y"},
		Set:     []string{"max=9"},
		Ignore:  []string{"NOVA_CLIP"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config{Dir: ".nova", RTMP: sub{":2", 5 * time.Second}, Max: 9}
	if c.Dir != want.Dir || c.RTMP != want.RTMP || c.Max != want.Max {
		t.Errorf("got %+v", c)
	}
	if len(c.Levels) != 1 || c.Levels[0] != "x" || len(c.Rungs) != 1 || c.Rungs[0] != (rung{"480p", 480}) {
		t.Errorf("lists must be replaced, got %+v", c)
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		from Sources
		want []string
	}{
		"unknown key in the file": {Sources{File: write(t, "rtmp: {addr: x}\n")}, []string{"rtmp.addr", "unknown key"}},
		"key in the wrong place":  {Sources{File: write(t, "timeout: 3s\n")}, []string{`"timeout"`, "rtmp.timeout"}},
		"unknown variable":        {Sources{Environ: []string{"NOVA_RTMP_PORT=1"}}, []string{"NOVA_RTMP_PORT"}},
		"unknown flag":            {Sources{Set: []string{"nope=1"}}, []string{"--set", "nope"}},
		"flag without value":      {Sources{Set: []string{"max"}}, []string{"key=value"}},
		"not a duration":          {Sources{Set: []string{"rtmp.timeout=soon"}}, []string{"rtmp.timeout", "invalid duration"}},
		"not a number":            {Sources{Environ: []string{"NOVA_MAX=many"}}, []string{"max"}},
		"not YAML":                {Sources{File: write(t, "rtmp: [\n")}, []string{"nova.yaml"}},
		"no such file":            {Sources{File: "no-such.yaml"}, []string{"no-such.yaml"}},
		"out of range":            {Sources{Set: []string{"max=-1"}}, []string{"max", "negative"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Load(defaults(), tc.from)
			if err == nil {
				t.Fatal("must fail")
			}
			for _, word := range tc.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %q", err, word)
				}
			}
		})
	}
}

// The sample file states the defaults: loading it changes nothing.
func TestSampleLoadsToTheDefaults(t *testing.T) {
	var b strings.Builder
	if err := Sample(&b, defaults()); err != nil {
		t.Fatal(err)
	}
	c := &config{}
	if err := Load(c, Sources{File: write(t, b.String())}); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	var again strings.Builder
	if err := Sample(&again, c); err != nil {
		t.Fatal(err)
	}
	if again.String() != b.String() || c.Rungs[0].Height != 720 {
		t.Errorf("round trip differs:\n%s\n%s", b.String(), again.String())
	}
}

func TestReferenceHasEveryKey(t *testing.T) {
	var b strings.Builder
	if err := Reference(&b, defaults()); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys(defaults()) {
		if k.Doc == "" || !strings.Contains(b.String(), "`"+k.Path+"`") {
			t.Errorf("%s is not in the reference or has no doc tag", k.Path)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("rtmp: {address: ':1', timeout: 5s}\n")
	f.Add("levels: [x]\nrungs: [{name: 480p, height: 480}]\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := defaults()
		if err := Load(c, Sources{File: write(t, text)}); err == nil && c.Max < 0 {
			t.Error("an invalid configuration was let through")
		}
	})
}
