/* Loaded into a process before its libraries: lets one storage call on the files below a directory fail,
 * and writes down where the process connects to.
 *
 *   SHIM_DIR   the directory
 *   SHIM_FAIL  which call fails, from 1; 0 or absent: none
 *   SHIM_ERRNO the error it fails with
 *   SHIM_LOG   a file that gets a line for the call that failed, and one for each connection
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES 65536

static atomic_char watched[FILES];
static atomic_long calls;

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void say(const char *line) {
    const char *path = getenv("SHIM_LOG");
    if (!path) return;
    /* Not below the directory: these calls of ours neither fail nor count. */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    (void)!write(fd, line, strlen(line));
    close(fd);
}

/* True when this call is the one that fails. */
static int fails(const char *what) {
    const char *at = getenv("SHIM_FAIL");
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (!at || n != atol(at)) return 0;
    char line[128];
    snprintf(line, sizeof line, "failed %s call %ld\n", what, n);
    say(line);
    const char *code = getenv("SHIM_ERRNO");
    errno = code ? atoi(code) : EIO;
    return 1;
}

static int below(const char *path) {
    const char *dir = getenv("SHIM_DIR");
    return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static int mine(int fd) {
    return fd >= 0 && fd < FILES && atomic_load(&watched[fd]);
}

static int opened(int fd, int in) {
    if (fd >= 0 && fd < FILES) atomic_store(&watched[fd], in);
    return fd;
}

#define MODE(last) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        MODE(flags) \
        int in = below(path); \
        if (in && fails("open")) return -1; \
        return opened(next(path, flags, mode), in); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        NEXT(name); \
        MODE(flags) \
        int in = below(path); \
        if (in && fails("open")) return -1; \
        return opened(next(at, path, flags, mode), in); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    NEXT(close);
    if (fd >= 0 && fd < FILES) atomic_store(&watched[fd], 0);
    return next(fd);
}

#define ON_FILE(type, what, name, parameters, arguments) \
    type name parameters { \
        NEXT(name); \
        if (mine(fd) && fails(what)) return (type)-1; \
        return next arguments; \
    }
ON_FILE(ssize_t, "read", read, (int fd, void *to, size_t n), (fd, to, n))
ON_FILE(ssize_t, "read", pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
ON_FILE(ssize_t, "read", pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
ON_FILE(ssize_t, "write", write, (int fd, const void *from, size_t n), (fd, from, n))
ON_FILE(ssize_t, "write", pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
ON_FILE(ssize_t, "write", pwrite64, (int fd, const void *from, size_t n, off64_t at),
        (fd, from, n, at))
ON_FILE(int, "sync", fsync, (int fd), (fd))
ON_FILE(int, "sync", fdatasync, (int fd), (fd))
ON_FILE(int, "truncate", ftruncate, (int fd, off_t n), (fd, n))
ON_FILE(int, "truncate", ftruncate64, (int fd, off64_t n), (fd, n))

#define MAP(name, offset) \
    void *name(void *to, size_t n, int prot, int flags, int fd, offset at) { \
        NEXT(name); \
        if (mine(fd) && fails("map")) return MAP_FAILED; \
        return next(to, n, prot, flags, fd, at); \
    }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

int unlink(const char *path) {
    NEXT(unlink);
    if (below(path) && fails("unlink")) return -1;
    return next(path);
}

int connect(int fd, const struct sockaddr *to, socklen_t n) {
    NEXT(connect);
    char address[INET6_ADDRSTRLEN] = "?", line[128];
    int port = -1;
    if (to->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)to;
        inet_ntop(AF_INET, &in->sin_addr, address, sizeof address);
        port = ntohs(in->sin_port);
    } else if (to->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)to;
        inet_ntop(AF_INET6, &in->sin6_addr, address, sizeof address);
        port = ntohs(in->sin6_port);
    }
    snprintf(line, sizeof line, "connect %s:%d\n", address, port);
    say(line);
    return next(fd, to, n);
}
