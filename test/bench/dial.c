/* dial SOCKET PATH: the least a program can do: one HTTP/1.0 request over a
 * Unix socket, the body to stdout. The yardstick for ccactl credential-process. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
	static char buf[65536];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), n, len = 0;
	if (argc < 3) return 2;
	strncpy(a.sun_path, argv[1], sizeof a.sun_path - 1);
	if (connect(s, (struct sockaddr *)&a, sizeof a)) return 3;
	n = snprintf(buf, sizeof buf, "GET %s HTTP/1.0\r\n\r\n", argv[2]);
	if (write(s, buf, n) != n) return 1;
	while ((n = read(s, buf + len, sizeof buf - 1 - len)) > 0) len += n;
	buf[len] = 0;
	char *body = strstr(buf, "\r\n\r\n");
	if (strncmp(buf + 8, " 200", 4) || !body) return 1;
	body += 4;
	return write(1, body, len - (body - buf)) < 0;
}
