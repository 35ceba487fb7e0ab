package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloud-ca/ccad/ipc"
)

func portalVerb() *cobra.Command {
	c := verb("portal login|logout|fields", "Read regenerated keys from the portal's API", words(0, 0), func(c *cobra.Command, _ []string) error {
		return misused(c, "login, logout or fields?")
	})
	c.Long = `Read regenerated keys from the portal's API.

With an API key of the portal, ccad reads what the portal shows now and then,
and adopts a regenerated password or S3 key with nobody touching this machine.
The key can do whatever you can in the portal: make one for this machine alone
and name it so. ccad reads with it and never hands it out. Where the API is
says config.toml:

  [portal]
  url = "https://PORTAL/api/v2"`
	c.AddCommand(portalLoginVerb(), portalLogoutVerb(), portalFieldsVerb())
	return c
}

func portalLoginVerb() *cobra.Command {
	var stdin bool
	c := verb("login [--key-stdin]", "Store a key to the portal's API", words(0, 0), func(*cobra.Command, []string) (err error) {
		var r ipc.PortalRequest
		if r.Key, err = given(stdin, "the portal's API key", "--key-stdin"); err != nil {
			return err
		}
		var found ipc.PortalReply
		if err := call("POST", "/v1/portal", r, &found); err != nil {
			return err
		}
		return showPortal(found)
	})
	c.Flags().BoolVar(&stdin, "key-stdin", false, "read the key from stdin")
	return c
}

func portalLogoutVerb() *cobra.Command {
	return verb("logout", "Forget the key to the portal's API", words(0, 0), func(*cobra.Command, []string) error {
		if err := call("DELETE", "/v1/portal", nil, nil); err != nil {
			return err
		}
		_, err := fmt.Println("forgotten here; delete it in the portal too")
		return err
	})
}

func portalFieldsVerb() *cobra.Command {
	var asJSON bool
	c := verb("fields [--json]", "Show what the portal shows and what it is taken for, without values", words(0, 0), func(*cobra.Command, []string) error {
		var found ipc.PortalReply
		if err := call("GET", "/v1/portal", nil, &found); err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(os.Stdout).Encode(found)
		}
		return showPortal(found)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func showPortal(found ipc.PortalReply) error {
	for _, note := range found.Notes {
		say(note)
	}
	for _, e := range found.Environments {
		line := plain(e.Name)
		if e.Environment != "" {
			line += " is environment " + plain(e.Environment)
		}
		if e.Trouble != "" {
			line += ": " + plain(e.Trouble)
		}
		switch e.State {
		case "unknown":
			line += " (ccactl import or add brings them)"
		case "unnamed":
			line += " ([portal.fields] in config.toml can say which does)"
		}
		if _, err := fmt.Println(line); err != nil {
			return err
		}
		t := newTable(os.Stdout)
		for _, f := range e.Fields {
			meaning := f.Meaning
			if meaning == "" {
				meaning = "not used"
			}
			t.row("  "+f.Key, meaning)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(found.Environments) == 0 && len(found.Notes) == 0 {
		_, err := fmt.Println("the portal shows no environments")
		return err
	}
	return nil
}
