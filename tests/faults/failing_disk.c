/* A disk that fails at the Nth operation, for LD_PRELOAD (Linux).

Every call that changes a file below `root` is one operation: create, write, flush, rename, delete, make a folder,
truncate. `fault_arm` chooses the operation and what happens there; `fault_point` counts one for a process step. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { NONE, KILL, KILL_AFTER, TORN, POWER, IO_ERROR, FULL, READ_ONLY };
enum verdict { GO, FAIL, HALF, DIE_AFTER };
enum kind { SPACE, OTHER };

static char root[PATH_MAX];
static int mode, hit;
static long target, done, credit; /* credit: bytes that deleted files gave back to a full disk */

/* Files written since their last flush: what a power cut takes away. */
static struct { dev_t dev; ino_t ino; int fd; off_t flushed; } dirty[1024];
static int dirties;

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void fault_arm(const char *folder, long operation, int what) {
    snprintf(root, sizeof root, "%s/", folder);
    mode = what; target = operation; done = 0; credit = 0; hit = 0; dirties = 0;
}
long fault_count(void) { return done; }
int fault_hit(void) { return hit; }

static int below(const char *path) {
    char folder[PATH_MAX + 1];
    if (!*root || !path) return 0;
    if (*path == '/') return !strncmp(path, root, strlen(root));
    if (!getcwd(folder, PATH_MAX)) return 0;
    return !strncmp(strcat(folder, "/"), root, strlen(root));
}
static int below_at(int fd, const char *path) {
    char link[64], folder[PATH_MAX + 2];
    if (*path == '/' || fd == AT_FDCWD) return below(path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, folder, PATH_MAX);
    if (length < 0) return 0;
    folder[length] = '/'; folder[length + 1] = 0;
    return *root && !strncmp(folder, root, strlen(root));
}
static int open_below(int fd) { return below_at(fd, ""); }

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }
static void lose_power(void) {
    for (int i = 0; i < dirties; i++) {
        struct stat now;
        if (!fstat(dirty[i].fd, &now) && now.st_size > dirty[i].flushed)
            if (ftruncate(dirty[i].fd, dirty[i].flushed + (now.st_size - dirty[i].flushed) / 2)) {}
    }
    die();
}
static void wrote(int fd) { /* before a write */
    struct stat now;
    if (mode != POWER || fstat(fd, &now) || dirties == 1024) return;
    for (int i = 0; i < dirties; i++) if (dirty[i].ino == now.st_ino && dirty[i].dev == now.st_dev) return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    if (copy < 0) return;
    dirty[dirties].dev = now.st_dev; dirty[dirties].ino = now.st_ino;
    dirty[dirties].fd = copy; dirty[dirties++].flushed = now.st_size;
}
static void flushed(int fd) {
    struct stat now;
    if (mode != POWER || fstat(fd, &now)) return;
    for (int i = 0; i < dirties; i++)
        if (dirty[i].ino == now.st_ino && dirty[i].dev == now.st_dev) dirty[i].flushed = now.st_size;
}

static int verdict(enum kind kind, long bytes) {
    int now = ++done == target;
    if (!mode || done < target) return GO;
    switch (mode) {
    case KILL: if (now) die(); break;
    case POWER: if (now) lose_power(); break;
    case KILL_AFTER: if (now) return DIE_AFTER; break;
    case TORN: if (now) return bytes > 1 ? HALF : DIE_AFTER; break;
    case IO_ERROR: if (now) { hit++; errno = EIO; return FAIL; } break;
    case READ_ONLY: hit++; errno = EROFS; return FAIL;
    case FULL:
        if (kind == SPACE) {
            if (bytes > credit) { hit++; errno = ENOSPC; return FAIL; }
            credit -= bytes;
        }
    }
    return GO;
}
int fault_point(void) { int found = verdict(SPACE, 1); if (found == DIE_AFTER) die(); return found == FAIL ? errno : 0; }

#define AFTER(call) do { __typeof__(call) result_ = (call); if (found == DIE_AFTER) die(); return result_; } while (0)
#define ASK(ours, kind, bytes) int found = GO; if (ours) { found = verdict(kind, bytes); if (found == FAIL) return -1; }

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    int ours = *root && open_below(fd);
    ASK(ours, SPACE, (long)size);
    if (ours) wrote(fd);
    if (found == HALF) { if (real(fd, data, size / 2) < 0) {} die(); }
    AFTER(real(fd, data, size));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    int ours = *root && open_below(fd);
    ASK(ours, SPACE, (long)size);
    if (ours) wrote(fd);
    if (found == HALF) { if (real(fd, data, size / 2, at) < 0) {} die(); }
    AFTER(real(fd, data, size, at));
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    int ours = *root && open_below(fd);
    ASK(ours, SPACE, 4096);
    if (ours) wrote(fd);
    if (found == HALF) { if (real(fd, parts, 1) < 0) {} die(); }
    AFTER(real(fd, parts, count));
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    REAL(sendfile64);
    int ours = *root && open_below(out);
    ASK(ours, SPACE, 4096);
    if (ours) wrote(out);
    if (found == HALF) { struct stat all; if (!fstat(in, &all) && real(out, in, at, all.st_size / 2) < 0) {} die(); }
    AFTER(real(out, in, at, size));
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) { return sendfile64(out, in, at, size); }
int fsync(int fd) {
    REAL(fsync);
    ASK(*root && open_below(fd), OTHER, 0);
    int result = real(fd);
    if (!result) flushed(fd);
    if (found >= HALF) die();
    return result;
}
int fdatasync(int fd) {
    REAL(fdatasync);
    ASK(*root && open_below(fd), OTHER, 0);
    int result = real(fd);
    if (!result) flushed(fd);
    if (found >= HALF) die();
    return result;
}
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    ASK(*root && open_below(fd), SPACE, 1);
    AFTER(real(fd, size));
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int opened(int (*real)(int, const char *, int, ...), int at, const char *path, int flags, mode_t rights) {
    ASK((flags & O_CREAT) && below_at(at, path), SPACE, 1);
    AFTER(real(at, path, flags, rights));
}
#define RIGHTS mode_t rights = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); \
    rights = va_arg(more, mode_t); va_end(more); }
int openat64(int at, const char *path, int flags, ...) { RIGHTS; REAL(openat64); return opened(real, at, path, flags, rights); }
int openat(int at, const char *path, int flags, ...) { RIGHTS; REAL(openat); return opened(real, at, path, flags, rights); }
int open64(const char *path, int flags, ...) { RIGHTS; return openat64(AT_FDCWD, path, flags, rights); }
int open(const char *path, int flags, ...) { RIGHTS; return openat64(AT_FDCWD, path, flags, rights); }

int rename(const char *from, const char *to) { REAL(rename); ASK(below(to), OTHER, 0); AFTER(real(from, to)); }
int renameat(int a, const char *from, int b, const char *to) {
    REAL(renameat); ASK(below_at(b, to), OTHER, 0); AFTER(real(a, from, b, to));
}
static void freed(int at, const char *path) {
    struct stat found;
    if (mode == FULL && !fstatat(at, path, &found, AT_SYMLINK_NOFOLLOW)) credit += found.st_size;
}
int unlinkat(int at, const char *path, int flags) {
    REAL(unlinkat);
    int ours = below_at(at, path);
    ASK(ours, OTHER, 0);
    if (ours) freed(at, path);
    AFTER(real(at, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int mkdirat(int at, const char *path, mode_t rights) {
    REAL(mkdirat); ASK(below_at(at, path), SPACE, 1); AFTER(real(at, path, rights));
}
int mkdir(const char *path, mode_t rights) { return mkdirat(AT_FDCWD, path, rights); }
