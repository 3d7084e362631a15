/* SPDX-License-Identifier: Apache-2.0 */
/* listen PORT: what podman's tests expect of `nc -l -n -v -p PORT`, which Debian's busybox does not have. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any }, there;
	int listener = socket(AF_INET6, SOCK_STREAM, 0), on = 1, fd;
	socklen_t here_len = sizeof(here), there_len = sizeof(there);
	char local[INET6_ADDRSTRLEN], peer[INET6_ADDRSTRLEN], buffer[4096];
	ssize_t n;

	if (argc != 2)
		return 1;
	here.sin6_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 1) < 0) {
		perror("nc: bind");
		return 1;
	}
	fprintf(stderr, "listening on [::]:%s ...\n", argv[1]);
	fd = accept(listener, (struct sockaddr *)&there, &there_len);
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&here, &here_len) < 0)
		return 1;
	inet_ntop(AF_INET6, &here.sin6_addr, local, sizeof(local));
	inet_ntop(AF_INET6, &there.sin6_addr, peer, sizeof(peer));
	fprintf(stderr, "connect to [%s]:%s from [%s]:%d ([%s]:%d)\n", local, argv[1], peer, ntohs(there.sin6_port), peer,
		ntohs(there.sin6_port));
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(1, buffer, (size_t)n) != n)
			return 1;
	return 0;
}
