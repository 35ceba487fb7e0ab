package daemon

import (
	"fmt"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/rotate"
)

// RotateConfig is [rotate] of config.toml.
type RotateConfig struct {
	Every Duration  `toml:"every"` // never; how old a value may grow before it is replaced
	Grace *Duration `toml:"grace"` // 1h: how long a replaced value lives for holders whose end is unknown

	User map[string]struct { // by NAME or NAME@host
		Every    *Duration `toml:"every"`    // rotate.every, of his environments' keys and of his password
		Password bool      `toml:"password"` // false: whether his password is replaced too
	} `toml:"user"`
	Environment map[string]struct { // by name
		Every *Duration `toml:"every"` // its user's, of its key
	} `toml:"environment"`
}

// defaultGrace is how long the unknown holders of a replaced key have.
const defaultGrace = time.Hour

// minEvery keeps a rotation from being due before the one before it is over,
// whatever somebody mistypes.
const minEvery = time.Hour

func (c *RotateConfig) check() error {
	if c.Grace == nil {
		grace := Duration(defaultGrace)
		c.Grace = &grace
	}
	if *c.Grace < 0 {
		return fmt.Errorf("rotate.grace is negative")
	}
	s := c.schedule()
	everies := map[string]time.Duration{"rotate.every": s.Every}
	for name, of := range s.Users {
		if of.Every != nil {
			everies[fmt.Sprintf("rotate.user.%q", name)+".every"] = *of.Every
		}
	}
	for name, every := range s.Environments {
		if !account.ValidName(name) {
			return fmt.Errorf("rotate.environment.%q is no name of an environment", name)
		}
		everies[fmt.Sprintf("rotate.environment.%q", name)+".every"] = every
	}
	for key, every := range everies {
		if every != 0 && every < minEvery {
			return fmt.Errorf("%s is %v, less than %v (0d: never)", key, every, minEvery)
		}
	}
	return nil
}

func (c *RotateConfig) schedule() rotate.Schedule {
	s := rotate.Schedule{Every: time.Duration(c.Every), Users: map[string]rotate.UserSchedule{}, Environments: map[string]time.Duration{}}
	for name, of := range c.User {
		s.Users[name] = rotate.UserSchedule{Every: (*time.Duration)(of.Every), Password: of.Password}
	}
	for name, of := range c.Environment {
		if of.Every != nil {
			s.Environments[name] = time.Duration(*of.Every)
		}
	}
	return s
}
