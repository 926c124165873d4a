/* The shop, which leaves processes behind as soon as it is loaded: one in the process group of its host, one in a
 * session of its own, and one in another session whose parent has ended. Their ids go into the file PIDS. Each ends
 * after a minute at the latest. */
#define _DEFAULT_SOURCE
#include <sys/types.h>
#include <unistd.h>
#include "shop.c"

/* Here and below only system calls: the host has other threads. */
static void stay(void) {
  int fd;
  alarm(60);
  /* Whoever reads what the host prints must not wait for this, nor whoever waits for an id. */
  for (fd = 0; fd < 64; fd++) close(fd);
  for (;;) pause();
}

__attribute__((constructor)) static void leave(void) {
  int ids[2];
  pid_t near, far, parent, left;
  FILE *file;
  if (pipe(ids)) abort();
  if ((near = fork()) == 0) stay();
  if ((far = fork()) == 0) {
    setsid();
    stay();
  }
  if ((parent = fork()) == 0) {
    setsid();
    left = fork();
    if (left == 0) stay();
    /* It may be ended as soon as this is its parent no more. */
    if (write(ids[1], &left, sizeof left) != (ssize_t)sizeof left) _exit(1);
    _exit(0);
  }
  close(ids[1]);
  /* On a thread of the command all of them may be ended at any time, this one before it has told. */
  if (read(ids[0], &left, sizeof left) != (ssize_t)sizeof left) left = parent;
  close(ids[0]);
  file = fopen(PIDS, "a");
  if (!file) abort();
  fprintf(file, "%ld\n%ld\n%ld\n", (long)near, (long)far, (long)left);
  fclose(file);
}
