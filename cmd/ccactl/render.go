package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/cmd/ccactl/render"
	"github.com/cloud-ca/ccad/ipc"
)

// How often files are looked at where no event tells of a change; how often
// their views are fetched all the same (a gateway key in one lives for half a
// day and is another one after half of that), and those of a file that could not
// be written; how long the daemon may take for its list, and a reload.
const (
	renderLook    = time.Minute
	renderRefresh = time.Hour
	renderRetry   = 5 * time.Minute
	offerLimit    = 30 * time.Second
	reloadLimit   = 30 * time.Second
)

func renderVerb() *cobra.Command {
	var once bool
	c := verb("render [--once]", "Write the files of the config's [[render]] tables, and keep them written", words(0, 0), func(*cobra.Command, []string) error {
		ctx, stop := interrupted()
		defer stop()
		k := &keeper{files: render.Files{State: ipc.StateDir()}, known: map[string]*kept{}}
		if once {
			return k.once(ctx)
		}
		k.keep(ctx)
		return nil
	})
	c.Long = `Write the files of the config's [[render]] tables, and keep them written:

  [[render]]
  environment = "dev"
  view = "rclone"                        # a format of ccactl env
  path = "~/.config/rclone/rclone.conf"
  reload = ["systemctl", "--user", "try-restart", "sync.service"]

A file is replaced whole, keeps its mode (a new one is 0600), and is written
only if that changes it; then its reload command runs, without a shell and for
30 s at most. What was in it before ccactl is kept beside it as NAME.former,
once.

While ccad is locked the files hold a note in place of secrets, and so do those
that the cloud refuses; a lock runs no reload, for it is to disturb no program.
The daemon reads its config when it starts: restart it after a change.

Without --once it runs until SIGTERM: as the service ccad-render, for instance.`
	c.Flags().BoolVar(&once, "once", false, "write them now; fail if one can't be written")
	return c
}

// writtenFiles are the files that ccactl render has written, or keeps written.
func writtenFiles() []string {
	files := render.Files{State: ipc.StateDir()}
	return files.Known()
}

// A keeper keeps files written.
type keeper struct {
	files   render.Files
	known   map[string]*kept
	trouble string // why nothing can be done, as said last

	reloads   sync.WaitGroup // that run
	reloading sync.Mutex     // one at a time

	mu     sync.Mutex
	failed error // the first failure of a file or of its reload
}

// kept is what is known of a file.
type kept struct {
	settled string      // what the daemon said of its environment when it was last settled; "": it is due
	at      time.Time   // when, on the wall's clock: a machine may sleep
	info    fs.FileInfo // as it was then
	told    digest      // what its program has read
	trouble string      // as said last
}

// once settles every file once.
func (k *keeper) once(ctx context.Context) error {
	err := k.look(ctx)
	k.reloads.Wait()
	switch {
	case err != nil:
		return err
	case len(k.known) == 0:
		return advised(errors.New("ccad has no [[render]] table: it reads its config when it starts"), restartAdvice(0))
	case k.failed != nil:
		return exitCode(codeOf(k.failed))
	}
	return nil
}

// keep settles the files whenever something may have changed, until ctx ends.
func (k *keeper) keep(ctx context.Context) {
	changes := make(chan struct{}, 1)
	go ipc.Follow(ctx, func() {
		select {
		case changes <- struct{}{}:
		default:
		}
	})
	tick := time.NewTicker(renderLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		trouble := ""
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			if trouble = err.Error(); trouble != k.trouble {
				exit(err)
			}
		}
		k.trouble = trouble
		select {
		case <-ctx.Done():
		case <-changes:
		case <-tick.C:
		}
	}
	k.reloads.Wait()
}

// look settles what is due: files whose environment has another generation by
// now, that somebody changed, or that were settled long ago.
func (k *keeper) look(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, offerLimit)
	defer cancel()
	var r ipc.Renders
	if _, err := ipc.Do(ask, "GET", "/v1/renders", nil, &r); err != nil {
		return err
	}
	var owed []reload
	for _, f := range r.Files {
		state := fmt.Sprint(f.Generation, " ", r.Gateway, " ", r.Locked)
		mine := k.known[f.Path]
		if mine == nil {
			mine = &kept{}
			k.known[f.Path] = mine
		}
		if mine.settled == state && !mine.due(f.Path, now()) {
			continue
		}
		mine.settled = state
		changed, err := k.settle(f, mine)
		mine.at, mine.info = now().Round(0), statOf(f.Path)
		k.judge(mine, err)
		if changed && len(f.Reload) > 0 {
			owed = owe(owed, f)
		}
	}
	k.reload(ctx, owed)
	if r.Locked && len(r.Files) > 0 {
		return &ipc.Error{Code: ipc.CodeLocked, Message: "ccad is locked"}
	}
	return nil
}

// due reports whether a file is to be settled though the daemon has no news.
func (f *kept) due(path string, now time.Time) bool {
	is := statOf(path)
	same := is == nil && f.info == nil ||
		is != nil && f.info != nil && os.SameFile(is, f.info) && is.ModTime().Equal(f.info.ModTime()) && is.Size() == f.info.Size()
	age := now.Round(0).Sub(f.at)
	return !same || age >= renderRefresh || f.trouble != "" && age >= renderRetry
}

func statOf(path string) fs.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// settle makes a file what it has to be, and reports whether its program is to
// read it again. Its error stays an error where the file holds a note now.
func (k *keeper) settle(f ipc.RenderedFile, mine *kept) (changed bool, err error) {
	query := url.Values{"format": {f.View}, "file": {f.Path}}
	body, warnings, err := view(f.Environment, "env?"+query.Encode())
	if err != nil {
		err = fmt.Errorf("render %s: %w", f.Path, err)
	}
	var out render.Outcome
	switch {
	case err == nil:
		now := digestOf(body)
		if out, err = k.files.Put(f.Path, body, len(f.Reload) > 0 && now != mine.told); err != nil {
			return false, err
		}
		mine.told = now
	case withdraws(err):
		locked := coded(err, ipc.CodeLocked)
		var e error
		if out, e = k.files.Withdraw(f.Path, note(f.View, errors.Unwrap(err)), len(f.Reload) > 0 && !locked); e != nil {
			return false, e
		}
		if !locked {
			mine.told = digest{}
		}
	default: // it stays as it is, and due
		mine.settled = ""
		return false, err
	}
	if out.Changed {
		warn(warnings)
	}
	tellWritten(f, out)
	return out.Owed, err
}

// withdraws reports whether what a file holds has to go: ccad is locked, the
// cloud refuses it, or it is nobody's any more. A failure of any other kind
// leaves it as it is.
func withdraws(err error) bool {
	return coded(err, ipc.CodeLocked, ipc.CodeRefused, ipc.CodeUnknown)
}

func coded(err error, codes ...ipc.Code) bool {
	var failure *ipc.Error
	return errors.As(err, &failure) && slices.Contains(codes, failure.Code)
}

// note is what a file holds in place of secrets. JSON has no comments.
func note(view string, why error) []byte {
	if view == "json" {
		return []byte("{}\n")
	}
	line := "# " + plain(why.Error())
	if hint := hintFor(why); hint != "" {
		line += ": " + plain(hint)
	}
	return []byte(line + "\n")
}

// tellWritten says what was done to a file.
func tellWritten(f ipc.RenderedFile, out render.Outcome) {
	if out.Former != "" {
		_ = emit([]byte(plain("kept what was in "+f.Path+" as "+out.Former) + "\n"))
	}
	if !out.Changed {
		return
	}
	_ = emit([]byte(plain(fmt.Sprintf("wrote %s (%s of %s)", f.Path, f.View, f.Environment)) + "\n"))
	if out.Open != 0 {
		warn([]string{fmt.Sprintf("%s can be read by everybody (mode %04o): chmod 600 closes it", f.Path, out.Open)})
	}
}

// judge says what is wrong with a file, once.
func (k *keeper) judge(mine *kept, err error) {
	now := ""
	if err != nil && !coded(err, ipc.CodeLocked) { // that is said for all of them
		now = err.Error()
	}
	if now != "" && now != mine.trouble {
		k.failure(err)
	}
	mine.trouble = now
}
