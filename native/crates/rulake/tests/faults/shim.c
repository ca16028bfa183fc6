// Preloaded into a process that writes a lake: fsync and fdatasync fail, or take long, as the file $RULAKE_FAULT says:
// "<errno> <milliseconds> <part of a path>", where a part that ends with $ is the end of the path. All other calls
// succeed. Without the file nothing is different.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int matches(const char *path, char *part) {
  size_t length = strlen(part), of = strlen(path);
  if (length == 0 || part[length - 1] != '$') return strstr(path, part) != NULL;
  length--;
  return of >= length && strncmp(path + of - length, part, length) == 0;
}

// The error that the call has to end with; 0 for none.
static int fault(int fd) {
  const char *control = getenv("RULAKE_FAULT");
  FILE *file = control ? fopen(control, "r") : NULL;
  if (!file) return 0;
  int error = 0, milliseconds = 0;
  char part[256] = "", link[64], path[PATH_MAX];
  int read = fscanf(file, "%d %d %255s", &error, &milliseconds, part);
  fclose(file);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (read != 3 || length < 0) return 0;
  path[length] = 0;
  if (!matches(path, part)) return 0;
  usleep((useconds_t)milliseconds * 1000);
  return error;
}

#define SYNC(name)                                                      \
  int name(int fd) {                                                    \
    int error = fault(fd);                                              \
    if (error == 0) return ((int (*)(int))dlsym(RTLD_NEXT, #name))(fd); \
    errno = error;                                                      \
    return -1;                                                          \
  }

SYNC(fsync)
SYNC(fdatasync)
