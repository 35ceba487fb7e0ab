package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
	"github.com/cloud-ca/ccad/ipc"
)

// checkAWSVariables: variables of the environment beat the profile that
// ccactl configure aws wrote.
func checkAWSVariables(examination) (found []finding) {
	const check = "AWS"
	trap := func(variable, format string, args ...any) {
		found = append(found, wrong(check, "unset "+variable+", and take it out of your rc files", variable+" "+format, args...))
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") != "" || os.Getenv("AWS_SECRET_ACCESS_KEY") != "" {
		found = append(found, wrong(check, "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY, and take them out of your rc files",
			"a key is set in this environment (AWS_ACCESS_KEY_ID): it is used instead of AWS_PROFILE's and the default profile's keys"))
	}
	for _, t := range [][2]string{
		{"AWS_SESSION_TOKEN", "is sent with whatever keys are used, and S3 here refuses that"},
		{"AWS_ENDPOINT_URL", "is where AWS clients go, whatever the profile says"},
		{"AWS_ENDPOINT_URL_S3", "is where AWS clients go, whatever the profile says"},
	} {
		if os.Getenv(t[0]) != "" {
			trap(t[0], "%s", t[1])
		}
	}
	if on := strings.ToLower(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")); on == "true" || on == "1" {
		trap("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "makes AWS clients go to Amazon, whatever the profile says")
	}
	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region := os.Getenv(variable); strings.Contains(region, ".") {
			trap(variable, "is %s, which AWS clients refuse: it is no host label", quote(region))
		}
	}
	if path := os.Getenv("AWS_CA_BUNDLE"); path != "" {
		if _, err := os.Stat(path); err != nil {
			trap("AWS_CA_BUNDLE", "names certificates that are not there (%s)", path)
		}
	}
	for _, variable := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if profile := os.Getenv(variable); profile != "" && !slices.Contains(profilesThere(), profile) {
			mend := "unset " + variable
			if slices.Contains(environmentNames(), profile) {
				mend = "ccactl configure aws " + shellWord(profile)
			}
			found = append(found, wrong(check, mend, "%s names %s, and there is no such profile", variable, quote(profile)))
		}
	}
	return found
}

// checkOpenStackVariables: a secret that this shell's hook did not set stays when
// it changes, and some of them beat what the hook sets.
func checkOpenStackVariables(examination) (found []finding) {
	ours := strings.Fields(os.Getenv("CCAD_SET"))
	for _, variable := range []string{"OS_PASSWORD", "OS_CLOUD", "OS_TOKEN", "OS_AUTH_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET", "ST_KEY"} {
		if os.Getenv(variable) != "" && !slices.Contains(ours, variable) {
			found = append(found, wrong("OpenStack", "unset "+variable+", take it out of your rc files, and: ccactl use NAME",
				"%s is set in this environment, and not by ccactl use: it stays as it is when the cloud's changes", variable))
		}
	}
	return found
}

// profilesThere are the names of all profiles, as far as the files tell.
func profilesThere() (names []string) {
	heading := regexp.MustCompile(`(?m)^[ \t]*\[(?:profile[ \t]+)?["']?([^\]"']+?)["']?[ \t]*\]`)
	for _, path := range awsFiles() {
		data, _ := os.ReadFile(path)
		for _, m := range heading.FindAllSubmatch(data, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

func awsFiles() []string {
	return []string{awsFile("AWS_CONFIG_FILE", "config"), awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials")}
}

// checkAWSFiles looks for what stops AWS clients in their files, for what wins
// over our profiles, and whether these still lead to a ccactl.
func checkAWSFiles(x examination) (found []finding) {
	const check = "AWS"
	for _, path := range awsFiles() {
		traps, err := configure.Traps(path)
		if err != nil {
			found = append(found, wrong(check, readableAdvice(path, err), "%v", err))
		}
		for _, trap := range traps {
			found = append(found, wrong(check, x.trapAdvice(trap), "%s", trap))
		}
	}
	config, credentials := awsFiles()[0], awsFiles()[1]
	ours, err := configure.Profiles(config)
	if err != nil {
		return found // told already
	}
	for _, profile := range slices.Sorted(maps.Keys(ours)) {
		if what, mend := profileTrouble(x, profile, ours[profile]); what != "" {
			found = append(found, wrong(check, mend, "profile %s of %s %s", profile, config, what))
		}
		conflicts, _ := configure.Conflicts(credentials, profile)
		for _, c := range conflicts {
			found = append(found, wrong(check, x.conflictAdvice(credentials), "%s", c))
		}
	}
	if len(found) == 0 && len(ours) > 0 {
		return fine(check, "%s: %s", count(len(ours), "profile"), strings.Join(slices.Sorted(maps.Keys(ours)), ", "))
	}
	return found
}

// checkAWSFolder: ccactl configure aws can write where it is to. A disk that can't
// be written is somebody's choice, as /dev/null is in place of the file, and so is
// what lies there.
func checkAWSFolder(examination) []finding {
	config := awsFiles()[0]
	folder := filepath.Dir(real(config))
	switch at, err := unwritable(folder); {
	case err == nil || at != folder: // checkHome tells of the home folder
		return nil
	case errors.Is(err, syscall.EROFS) || !owned(folder):
		return fine("AWS", "%s can't be written (%v), by ccactl configure aws neither", folder, err)
	default:
		return []finding{wrong("AWS", writableAdvice(folder, err), "%s can't be written (%v), and ccactl configure aws writes %s", folder, err, config)}
	}
}

// conflictAdvice mends what wins over a profile: import --scrub takes it out along
// with the key.
func (x examination) conflictAdvice(credentials string) string {
	if s, err := x.importable(real(credentials)); err == nil && len(s.Lines) > 0 && x.formerAdvice(real(credentials)) == "" {
		return "ccactl import --scrub " + shellWord(credentials)
	}
	return "take that line out, once ccactl has it"
}

// trapAdvice mends a trap in an AWS file. Where neither file has a secret, as in
// cloud.ca's sample with its mask, or a former one, there is nothing to bring in
// first. The sample's empty s3 is mended by configure, once it has an environment to
// write.
func (x examination) trapAdvice(trap configure.Warning) string {
	for _, file := range []string{trap.File, awsFiles()[1], awsFiles()[0]} {
		if s, err := x.importable(real(file)); err == nil && len(s.Lines) > 0 && x.formerAdvice(real(file)) == "" || !x.open() {
			advice := "ccactl import --scrub " + shellWord(file) + " && ccactl configure aws"
			if !trap.Sample {
				advice += ", then take that line out"
			}
			return advice
		}
	}
	if trap.Sample && slices.ContainsFunc(x.status.Environments, func(e ipc.Environment) bool { return e.S3.Endpoint != "" && !secretless(e) }) {
		return "ccactl configure aws"
	}
	return "take that line out"
}

// profileTrouble says what is wrong with a profile of ours.
func profileTrouble(x examination, name string, p configure.Ours) (what, mend string) {
	mend = "ccactl configure aws " + p.Environment
	if name != p.Environment {
		mend += " --profile " + name
	}
	if _, err := exec.LookPath(p.Program); err != nil {
		return "runs " + p.Program + ", which is not there", mend
	}
	if !configure.Accepted(p.Region) {
		return "has the region " + quote(p.Region) + ", which AWS clients refuse: it is no host label", mend
	}
	if !x.open() {
		return "", ""
	}
	gateway := x.status.Daemon.Gateway
	e := named(x.status, p.Environment)
	switch known := slices.ContainsFunc(x.status.Environments, func(e ipc.Environment) bool { return e.Name == p.Environment }); {
	case !known:
		return "is of the environment " + p.Environment + ", which ccad does not have", "take [profile " + name + "] and [services " + name + "] out of the file"
	case p.Gateway && gateway != "" && p.Endpoint != gateway:
		return "goes to " + p.Endpoint + ", and ccad's S3 gateway is at " + gateway, mend
	case !p.Gateway && e.S3.Endpoint != "" && p.Endpoint != e.S3.Endpoint:
		return "goes to " + p.Endpoint + ", and the S3 of " + e.Name + " is at " + e.S3.Endpoint, mend
	case !p.Gateway && !configure.Accepted(e.S3.Region):
		return "goes straight to the S3 of " + e.Name + ", whose region " + quote(e.S3.Region) + " AWS clients refuse: it is no host label", mend
	}
	return "", ""
}

// checkAWSCLI: an old one goes to AWS, whatever its profile says.
func checkAWSCLI(examination) []finding {
	const check = "AWS CLI"
	ours, err := configure.Profiles(awsFiles()[0])
	if err != nil || len(ours) == 0 {
		return nil
	}
	cli, err := findAWSCLI()
	switch {
	case cli.path == "":
		return nil
	case err != nil:
		return []finding{wrong(check, "install it anew", "%v", err)}
	case cli.version == "":
		return fine(check, "%s does not tell its version", cli.path)
	case !cli.readsEndpoint:
		return []finding{wrong(check, `upgrade it, or: aws --endpoint-url "$(aws configure get endpoint_url --profile NAME)" --profile NAME …`,
			"%s is %s: before 2.13 (and 1.29) it reads no endpoint_url from a profile and goes to AWS", cli.path, cli.version)}
	}
	return fine(check, "%s reads endpoint_url from profiles", cli.version)
}

// An awsCLI is the one that PATH finds.
type awsCLI struct {
	path, version string // "": there is none, it does not tell
	readsEndpoint bool   // from a profile; one of unknown version is taken to
}

// findAWSCLI asks the AWS CLI for its version: below 2.13 and 1.29 it reads no
// endpoint_url.
func findAWSCLI() (awsCLI, error) {
	cli := awsCLI{readsEndpoint: true}
	path, err := exec.LookPath("aws")
	if err != nil {
		return cli, nil
	}
	cli.path = path
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ask := exec.CommandContext(ctx, path, "--version")
	ask.Env = append(os.Environ(), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull) // it fails on a file that it can't read
	out, err := ask.CombinedOutput()
	if err != nil {
		return cli, fmt.Errorf("%s --version fails: %w", path, err)
	}
	if said := regexp.MustCompile(`aws-cli/(\d+)\.(\d+)\.\d+`).FindSubmatch(out); said != nil {
		major, _ := strconv.Atoi(string(said[1]))
		minor, _ := strconv.Atoi(string(said[2]))
		cli.version = string(said[0])
		cli.readsEndpoint = major > 2 || major == 2 && minor >= 13 || major == 1 && minor >= 29
	}
	return cli, nil
}
