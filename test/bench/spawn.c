/* spawn ROUNDS COMMAND [ARG…] , COMMAND [ARG…] …
 * Starts the commands in turn, each ROUNDS times, stdout to /dev/null, and
 * prints the median and 95th percentile from start to exit of each, with the
 * ratio to the first. Turn by turn, so that what else the machine does is
 * shared. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;
enum { MAX = 8 };

static int less(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double run(char **argv, posix_spawn_file_actions_t *fa) {
	struct timespec a, b;
	pid_t pid;
	int status;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (posix_spawn(&pid, argv[0], fa, NULL, argv, environ)) { perror(argv[0]); exit(1); }
	waitpid(pid, &status, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (status) { fprintf(stderr, "%s failed\n", argv[0]); exit(1); }
	return (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
}

int main(int argc, char **argv) {
	char **cmd[MAX];
	int n = 0, rounds = argc > 2 ? atoi(argv[1]) : 0;
	if (rounds < 1) { fprintf(stderr, "usage: spawn ROUNDS COMMAND… , COMMAND…\n"); return 2; }
	cmd[n++] = argv + 2;
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], ",") && n < MAX) { argv[i] = NULL; cmd[n++] = argv + i + 1; }
	posix_spawn_file_actions_t fa;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	double *t = malloc(sizeof(double) * n * rounds);
	for (int r = -3; r < rounds; r++)
		for (int i = 0; i < n; i++) {
			double ms = run(cmd[i], &fa);
			if (r >= 0) t[i * rounds + r] = ms;
		}
	double first = 0;
	for (int i = 0; i < n; i++) {
		qsort(t + i * rounds, rounds, sizeof(double), less);
		double med = t[i * rounds + rounds / 2];
		if (!i) first = med;
		printf("%-44.44s median %6.2f ms   p95 %6.2f ms   x%.2f\n", cmd[i][0], med, t[i * rounds + rounds * 95 / 100], med / first);
	}
	return 0;
}
