// Preloaded into a process that writes a lake: notes every call that changes files below $RULAKE_TRACE_ROOT, in order,
// in the file $RULAKE_TRACE. A record is a line, and for a write the bytes written. Some syncs take $RULAKE_TRACE_SLOW
// microseconds longer, most less, so that threads meet in more ways.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int trace = -1;
static unsigned slow;
static ssize_t (*real_write)(int, const void *, size_t);

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  real_write = REAL(write);
  root = getenv("RULAKE_TRACE_ROOT");
  const char *file = getenv("RULAKE_TRACE"), *microseconds = getenv("RULAKE_TRACE_SLOW");
  if (microseconds) slow = (unsigned)atoi(microseconds);
  if (root && file) trace = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int watched(const char *path) { return trace >= 0 && strncmp(path, root, strlen(root)) == 0; }

static void put(const void *bytes, size_t length) {
  if (real_write(trace, bytes, length) != (ssize_t)length) abort();
}

static void note(const char *format, ...) {
  char line[3 * PATH_MAX];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  put(line, (size_t)length);
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return watched(path);
}

// An absolute path of a name in a directory.
static int resolve(int dir, const char *name, char *path) {
  if (name[0] == '/' || dir == AT_FDCWD) {
    snprintf(path, PATH_MAX, "%s", name);
    return watched(path);
  }
  if (!path_of(dir, path)) return 0;
  size_t length = strlen(path);
  snprintf(path + length, PATH_MAX - length, "/%s", name);
  return 1;
}

static int open_at(int dir, const char *name, int flags, mode_t mode) {
  __typeof__(&openat) real = REAL(openat);
  char path[PATH_MAX];
  if (!(flags & O_CREAT) || !resolve(dir, name, path)) return real(dir, name, flags, mode);
  pthread_mutex_lock(&lock);
  int fresh = access(path, F_OK) != 0;
  int fd = real(dir, name, flags, mode);
  int error = errno;
  if (fd >= 0 && fresh) note("create %s\n", path);
  if (fd >= 0 && !fresh && (flags & O_TRUNC)) note("truncate %s\t0\n", path);
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define MODE(flags)                       \
  mode_t mode = 0;                        \
  if ((flags) & (O_CREAT | O_TMPFILE)) {  \
    va_list arguments;                    \
    va_start(arguments, flags);           \
    mode = va_arg(arguments, mode_t);     \
    va_end(arguments);                    \
  }

int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags) return open_at(dir, name, flags, mode); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags) return open_at(dir, name, flags, mode); }

ssize_t write(int fd, const void *bytes, size_t length) {
  char path[PATH_MAX];
  if (trace < 0 || !path_of(fd, path)) return real_write(fd, bytes, length);
  pthread_mutex_lock(&lock);
  struct stat file;
  off_t offset = lseek(fd, 0, SEEK_CUR);
  if (fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &file) == 0) offset = file.st_size;
  ssize_t written = real_write(fd, bytes, length);
  int error = errno;
  if (written > 0) {
    note("write %s\t%lld\t%zd\n", path, (long long)offset, written);
    put(bytes, (size_t)written);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}

// Nothing here writes like this; if that changes, the trace would be incomplete.
ssize_t writev(int fd, const struct iovec *parts, int count) {
  char path[PATH_MAX];
  if (trace >= 0 && path_of(fd, path)) abort();
  return REAL(writev)(fd, parts, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  char path[PATH_MAX];
  if (trace >= 0 && path_of(fd, path)) abort();
  return REAL(pwrite64)(fd, bytes, length, offset);
}

// After a call that has succeeded.
#define NOTED(condition, call, ...)     \
  pthread_mutex_lock(&lock);            \
  int done = call;                      \
  int error = errno;                    \
  if (done == 0 && (condition)) note(__VA_ARGS__); \
  pthread_mutex_unlock(&lock);          \
  errno = error;                        \
  return done;

static void take_time(void) {
  struct timespec now;
  if (slow < 8) return;
  clock_gettime(CLOCK_MONOTONIC, &now);
  unsigned random = (unsigned)now.tv_nsec * 2654435761u >> 8;
  usleep(random % 8 == 0 ? slow : random % (slow / 8));
}

int fsync(int fd) {
  char path[PATH_MAX];
  int wanted = path_of(fd, path);
  if (wanted) take_time();
  NOTED(wanted, REAL(fsync)(fd), "sync %s\n", path)
}
int fdatasync(int fd) {
  char path[PATH_MAX];
  int wanted = path_of(fd, path);
  if (wanted) take_time();
  NOTED(wanted, REAL(fdatasync)(fd), "sync %s\n", path)
}
int ftruncate64(int fd, off64_t length) {
  char path[PATH_MAX];
  int wanted = path_of(fd, path);
  if (wanted) take_time();
  NOTED(wanted, REAL(ftruncate64)(fd, length), "truncate %s\t%lld\n", path, (long long)length)
}
int rename(const char *from, const char *to) {
  NOTED(watched(from), REAL(rename)(from, to), "rename %s\t%s\n", from, to)
}
// Of the calls with flags only the exchange is used.
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags) {
  if (watched(from) && flags != RENAME_EXCHANGE) abort();
  NOTED(watched(from), REAL(renameat2)(from_dir, from, to_dir, to, flags), "exchange %s\t%s\n", from, to)
}
int link(const char *from, const char *to) { NOTED(watched(from), REAL(link)(from, to), "link %s\t%s\n", from, to) }
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  NOTED(watched(from), REAL(linkat)(from_dir, from, to_dir, to, flags), "link %s\t%s\n", from, to)
}
int unlink(const char *path) { NOTED(watched(path), REAL(unlink)(path), "remove %s\n", path) }
int rmdir(const char *path) { NOTED(watched(path), REAL(rmdir)(path), "remove %s\n", path) }
int unlinkat(int dir, const char *name, int flags) {
  char path[PATH_MAX];
  int wanted = resolve(dir, name, path);
  NOTED(wanted, REAL(unlinkat)(dir, name, flags), "remove %s\n", path)
}
int mkdir(const char *path, mode_t mode) { NOTED(watched(path), REAL(mkdir)(path, mode), "mkdir %s\n", path) }
