/* load: what the comparison of engines sends through a tunnel where iperf3 is not precise enough.
 *
 *   load serve PORT                          echoes TCP and UDP, counts what comes to UDP port PORT+1; until killed
 *   load first HOST PORT SECONDS             UDP until the first answer
 *   load tcp-rr|udp-rr HOST PORT SECONDS     one byte there and back: count, p50, p99 in microseconds
 *   load rate HOST PORT PPS SECONDS BYTES    UDP payloads of BYTES at PPS (0: as fast as it goes): sent, received
 *
 * Prints one line of JSON. Sleeps between the packets that are due, for at least 100 microseconds: a generator that
 * spins would take one of the two cores from the engines it measures. Ends with 1 when nothing answers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { batchCapacity = 64, payloadCapacity = 1500, tickNanoseconds = 100 * 1000, sampleCapacity = 1 << 21 };

static _Atomic uint64_t sinkCount;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int opened(int type) {
    int number = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (number < 0) fail("socket");
    int one = 1, bytes = 7 << 20;
    if (type == SOCK_STREAM) {
        setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    } else {
        setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
        setsockopt(number, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    }
    return number;
}

static struct sockaddr_in place(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "no IPv4 address: %s\n", host);
        exit(2);
    }
    return address;
}

static int bound(int type, int port) {
    int number = opened(type);
    struct sockaddr_in address = place("0.0.0.0", port);
    if (bind(number, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    return number;
}

static int connected(int type, const char *host, int port, long seconds) {
    int number = opened(type);
    struct sockaddr_in address = place(host, port);
    struct timeval limit = {.tv_sec = seconds + 5};
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(number, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    return number;
}

/* The other end: one thread for each service, blocking. */

static void *echoDatagrams(void *argument) {
    int number = *(int *)argument;
    char bytes[payloadCapacity];
    struct sockaddr_in from;
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t count = recvfrom(number, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
        if (count >= 0) sendto(number, bytes, (size_t)count, 0, (struct sockaddr *)&from, size);
    }
    return NULL;
}

static void *countDatagrams(void *argument) {
    int number = *(int *)argument;
    static char bytes[batchCapacity][payloadCapacity];
    static struct iovec pieces[batchCapacity];
    static struct mmsghdr messages[batchCapacity];
    for (int index = 0; index < batchCapacity; index++) {
        pieces[index] = (struct iovec){bytes[index], payloadCapacity};
        messages[index].msg_hdr.msg_iov = &pieces[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        int count = recvmmsg(number, messages, batchCapacity, MSG_WAITFORONE, NULL);
        if (count > 0) atomic_fetch_add(&sinkCount, (uint64_t)count);
    }
    return NULL;
}

/* 'e' is echoed, 'c' asks for the number of datagrams counted so far, 'z' sets it to zero first. */
static void *answer(void *argument) {
    int number = (int)(intptr_t)argument;
    char byte;
    while (read(number, &byte, 1) == 1) {
        if (byte == 'e') {
            if (write(number, &byte, 1) != 1) break;
            continue;
        }
        if (byte == 'z') atomic_store(&sinkCount, 0);
        uint64_t count = atomic_load(&sinkCount);
        if (write(number, &count, sizeof count) != sizeof count) break;
    }
    close(number);
    return NULL;
}

static void serve(int port) {
    int listener = bound(SOCK_STREAM, port);
    int echo = bound(SOCK_DGRAM, port), sink = bound(SOCK_DGRAM, port + 1);
    pthread_t thread;
    if (listen(listener, 8) < 0) fail("listen");
    if (pthread_create(&thread, NULL, echoDatagrams, &echo)) fail("pthread_create");
    if (pthread_create(&thread, NULL, countDatagrams, &sink)) fail("pthread_create");
    for (;;) {
        int number = accept(listener, NULL, NULL), one = 1;
        if (number < 0) continue;
        setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, answer, (void *)(intptr_t)number)) close(number);
        else pthread_detach(thread);
    }
}

/* This end. */

static void first(const char *host, int port, double seconds) {
    int number = connected(SOCK_DGRAM, host, port, 0);
    uint64_t end = now() + (uint64_t)(seconds * 1e9);
    struct timeval limit = {.tv_usec = 5000};
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char byte = 'e';
    while (now() < end) {
        if (send(number, &byte, 1, 0) < 0) usleep(1000);
        else if (recv(number, &byte, 1, 0) == 1) {
            printf("{\"answered\": true}\n");
            return;
        }
    }
    fprintf(stderr, "no answer from %s\n", host);
    exit(1);
}

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void requestResponse(int type, const char *host, int port, double seconds) {
    int number = connected(type, host, port, 0);
    uint32_t *samples = calloc(sampleCapacity, sizeof *samples);
    size_t count = 0, lost = 0;
    if (!samples) fail("calloc");
    struct timeval limit = {.tv_sec = type == SOCK_DGRAM ? 1 : 10};
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
    while (count < sampleCapacity) {
        uint64_t before = now();
        if (before >= end) break;
        char byte = 'e';
        if (send(number, &byte, 1, 0) != 1) fail("send");
        if (recv(number, &byte, 1, 0) != 1) {
            if (type == SOCK_STREAM) fail("recv");
            lost++;
            continue;
        }
        samples[count++] = (uint32_t)(now() - before);
    }
    if (count == 0) exit(1);
    qsort(samples, count, sizeof *samples, ascending);
    printf("{\"count\": %zu, \"lost\": %zu, \"p50\": %.2f, \"p99\": %.2f}\n", count, lost, samples[count / 2] / 1e3,
        samples[count * 99 / 100] / 1e3);
}

static uint64_t asked(int number, char what) {
    uint64_t count = 0;
    if (write(number, &what, 1) != 1 || recv(number, &count, sizeof count, MSG_WAITALL) != sizeof count) fail("asking");
    return count;
}

static void rate(const char *host, int port, double pps, double seconds, size_t bytes) {
    int control = connected(SOCK_STREAM, host, port, (long)seconds);
    int number = connected(SOCK_DGRAM, host, port + 1, (long)seconds);
    static char payload[payloadCapacity];
    struct iovec piece = {payload, bytes};
    struct mmsghdr messages[batchCapacity] = {0};
    for (int index = 0; index < batchCapacity; index++) {
        messages[index].msg_hdr.msg_iov = &piece;
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    asked(control, 'z');
    uint64_t start = now(), last = start + (uint64_t)(seconds * 1e9), sent = 0, time;
    while ((time = now()) < last) {
        uint64_t due = pps > 0 ? (uint64_t)((double)(time - start) / 1e9 * pps) : sent + batchCapacity;
        if (due <= sent) {
            struct timespec pause = {.tv_nsec = tickNanoseconds};
            nanosleep(&pause, NULL);
            continue;
        }
        uint64_t missing = due - sent;
        int count = sendmmsg(number, messages, missing < batchCapacity ? (unsigned)missing : batchCapacity, 0);
        if (count > 0) sent += (uint64_t)count;
        else if (errno != ENOBUFS && errno != EAGAIN) fail("sendmmsg");
    }
    double took = (double)(now() - start) / 1e9;
    /* What is on its way arrives: until nothing came for 60 ms. */
    uint64_t received = asked(control, 'c'), before;
    do {
        before = received;
        usleep(before == sent ? 0 : 60000);
        received = asked(control, 'c');
    } while (received != before);
    printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.4f}\n", (unsigned long long)sent,
        (unsigned long long)received, took);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (count == 3 && !strcmp(what, "serve")) serve(atoi(words[2]));
    else if (count == 5 && !strcmp(what, "first")) first(words[2], atoi(words[3]), atof(words[4]));
    else if (count == 5 && !strcmp(what, "tcp-rr")) requestResponse(SOCK_STREAM, words[2], atoi(words[3]), atof(words[4]));
    else if (count == 5 && !strcmp(what, "udp-rr")) requestResponse(SOCK_DGRAM, words[2], atoi(words[3]), atof(words[4]));
    else if (count == 7 && !strcmp(what, "rate") && atoi(words[6]) <= payloadCapacity)
        rate(words[2], atoi(words[3]), atof(words[4]), atof(words[5]), (size_t)atoi(words[6]));
    else {
        fprintf(stderr, "usage: load serve|first|tcp-rr|udp-rr|rate …, see the head of load.c\n");
        return 2;
    }
    return 0;
}
