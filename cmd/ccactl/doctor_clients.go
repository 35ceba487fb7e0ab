package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloud-ca/ccad/cmd/ccactl/configure"
)

// checkAWSVariables: variables of the environment beat the profile that
// ccactl configure aws wrote.
func checkAWSVariables(examination) (found []finding) {
	const check = "AWS"
	for _, trap := range [][2]string{
		{"AWS_ACCESS_KEY_ID", "AWS clients use it in place of the keys of every profile"},
		{"AWS_SECRET_ACCESS_KEY", "AWS clients use it in place of the keys of every profile"},
		{"AWS_SESSION_TOKEN", "AWS clients send it with whatever keys they have, and S3 refuses that"},
		{"AWS_ENDPOINT_URL", "AWS clients go there, whatever the profile says"},
		{"AWS_ENDPOINT_URL_S3", "AWS clients go there, whatever the profile says"},
	} {
		if os.Getenv(trap[0]) != "" {
			found = append(found, wrong(check, "unset "+trap[0]+", and take it out of your rc files", "%s is set in this environment: %s", trap[0], trap[1]))
		}
	}
	profile := os.Getenv("AWS_PROFILE")
	if profile == "" || slices.Contains(profilesThere(), profile) {
		return found
	}
	return append(found, wrong(check, "unset AWS_PROFILE, or ccactl configure aws "+shellWord(profile), "AWS_PROFILE names %s, and there is no such profile", quote(profile)))
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
			found = append(found, wrong(check, "mend the file by hand", "%v", err))
		}
		for _, trap := range traps {
			found = append(found, wrong(check, "ccactl import "+shellWord(path)+", then ccactl configure aws, and take these lines out", "%s", trap))
		}
	}
	config, credentials := awsFiles()[0], awsFiles()[1]
	ours, err := configure.Profiles(config)
	if err != nil {
		return found // told already
	}
	for _, profile := range slices.Sorted(maps.Keys(ours)) {
		if _, err := exec.LookPath(ours[profile]); err != nil {
			found = append(found, wrong(check, "ccactl configure aws", "profile %s of %s runs %s, which is not there", profile, config, ours[profile]))
		}
		conflicts, _ := configure.Conflicts(credentials, profile)
		for _, c := range conflicts {
			found = append(found, wrong(check, "take that line out, once ccactl has it", "%s", c))
		}
	}
	if len(found) == 0 && len(ours) > 0 {
		return fine(check, "%s: %s", count(len(ours), "profile"), strings.Join(slices.Sorted(maps.Keys(ours)), ", "))
	}
	return found
}

// checkAWSCLI: below 2.13 and 1.29 the AWS CLI reads no endpoint_url.
func checkAWSCLI(examination) []finding {
	const check = "AWS CLI"
	ours, err := configure.Profiles(awsFiles()[0])
	if err != nil || len(ours) == 0 {
		return nil
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return []finding{wrong(check, "install it anew", "%s --version fails: %v", path, err)}
	}
	said := regexp.MustCompile(`aws-cli/(\d+)\.(\d+)\.\d+`).FindSubmatch(out)
	if said == nil {
		return fine(check, "%s does not tell its version", path)
	}
	major, _ := strconv.Atoi(string(said[1]))
	minor, _ := strconv.Atoi(string(said[2]))
	if major == 1 && minor < 29 || major == 2 && minor < 13 {
		return []finding{wrong(check, "upgrade it, or give it --endpoint-url with the endpoint_url of "+awsFiles()[0],
			"%s is %s: before 2.13 (and 1.29) it reads no endpoint_url from a profile and goes to AWS", path, said[0])}
	}
	return fine(check, "%s reads endpoint_url from profiles", said[0])
}

// checkPlainText names the files in the usual places that hold secrets anybody
// who can read them can use.
func checkPlainText(examination) (found []finding) {
	const check = "plain text"
	for _, path := range usualFiles() {
		lines, err := secretLines(path)
		if err != nil {
			found = append(found, wrong(check, "mend it, or look into it yourself", "%v", err))
		}
		if len(lines) == 0 {
			continue
		}
		found = append(found, wrong(check, scrubAdvice(path), "%s holds %s (line %s)", path, count(len(lines), "secret"), joined(lines)))
		found = append(found, loose(check, path, 0o077)...)
	}
	switch {
	case len(found) > 0:
		return found
	case len(writtenFiles()) > 0:
		return fine(check, "no files in the usual places hold secrets but those of ccactl render")
	}
	return fine(check, "no file in the usual places holds a secret")
}

// scrubAdvice takes the secrets of a file into ccad.
func scrubAdvice(path string) string {
	return "ccactl import " + shellWord(path) + ", then take them out of the file"
}

func joined(lines []int) string {
	words := make([]string, len(lines))
	for i, n := range lines {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ", ")
}

// secretLines returns the lines of a file that hold a secret in plain text, as
// the formats that import reads have it. A masked one is none, nor is one that
// the file takes from elsewhere.
func secretLines(path string) (lines []int, err error) {
	data, err := guard{limit: fileLimit, system: true}.read(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	names := `OS_PASSWORD|OS_APPLICATION_CREDENTIAL_SECRET|SWIFT_PASSWORD|ST_KEY|AWS_SECRET_ACCESS_KEY|secret_access_key|secret_key|application_credential_secret|password`
	if strings.HasSuffix(path, "rclone.conf") {
		names += "|key" // of Swift: the password
	}
	secret := regexp.MustCompile(`(?i)^\s*(?:export\s+|set\s+-gx\s+)?(?:` + names + `)(?:\s*[=:]\s*|\s+)["']?([^"'\s].*)$`)
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		m := secret.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m != nil && !strings.HasPrefix(m[1], "$") && !strings.HasPrefix(m[1], "#") && strings.Trim(m[1], `*"'`) != "" {
			lines = append(lines, n)
		}
	}
	return lines, nil
}
