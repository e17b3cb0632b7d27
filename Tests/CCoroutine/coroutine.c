#include "coroutine.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer)
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
#endif
#if __has_feature(thread_sanitizer)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

static const size_t stack_bytes = 1 << 20;

struct swg_coroutine {
    ucontext_t outside, inside;
    void *stack;
    void (*body)(void *);
    void *argument;
    bool is_suspended;
    // What the sanitizers know of either side.
    void *outside_fiber, *inside_fiber;
    const void *outside_stack;
    size_t outside_stack_bytes;
};

struct swg_coroutine *swg_coroutine_new(void) {
    struct swg_coroutine *coroutine = calloc(1, sizeof *coroutine);
    if (!coroutine) return NULL;
    coroutine->stack =
        mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (coroutine->stack == MAP_FAILED) {
        free(coroutine);
        return NULL;
    }
#if __has_feature(thread_sanitizer)
    coroutine->inside_fiber = __tsan_create_fiber(0);
#endif
    return coroutine;
}

void swg_coroutine_free(struct swg_coroutine *coroutine) {
#if __has_feature(thread_sanitizer)
    __tsan_destroy_fiber(coroutine->inside_fiber);
#endif
    munmap(coroutine->stack, stack_bytes);
    free(coroutine);
}

static void leave(struct swg_coroutine *coroutine, bool is_end) {
    coroutine->is_suspended = !is_end;
#if __has_feature(address_sanitizer)
    __sanitizer_start_switch_fiber(is_end ? NULL : &coroutine->inside_fiber, coroutine->outside_stack,
                                   coroutine->outside_stack_bytes);
#endif
#if __has_feature(thread_sanitizer)
    __tsan_switch_to_fiber(coroutine->outside_fiber, 0);
#endif
    swapcontext(&coroutine->inside, &coroutine->outside);
#if __has_feature(address_sanitizer)
    __sanitizer_finish_switch_fiber(coroutine->inside_fiber, &coroutine->outside_stack,
                                    &coroutine->outside_stack_bytes);
#endif
}

// makecontext passes ints; the pointer comes in two halves.
static void begin(unsigned high, unsigned low) {
    struct swg_coroutine *coroutine = (struct swg_coroutine *)((unsigned long)high << 32 | low);
#if __has_feature(address_sanitizer)
    __sanitizer_finish_switch_fiber(NULL, &coroutine->outside_stack, &coroutine->outside_stack_bytes);
#endif
    coroutine->body(coroutine->argument);
    leave(coroutine, true);
}

static bool enter(struct swg_coroutine *coroutine) {
#if __has_feature(address_sanitizer)
    __sanitizer_start_switch_fiber(&coroutine->outside_fiber, coroutine->stack, stack_bytes);
#endif
#if __has_feature(thread_sanitizer)
    coroutine->outside_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(coroutine->inside_fiber, 0);
#endif
    swapcontext(&coroutine->outside, &coroutine->inside);
#if __has_feature(address_sanitizer)
    __sanitizer_finish_switch_fiber(coroutine->outside_fiber, NULL, NULL);
#endif
    return coroutine->is_suspended;
}

bool swg_coroutine_start(struct swg_coroutine *coroutine, void (*body)(void *), void *argument) {
    coroutine->body = body;
    coroutine->argument = argument;
    getcontext(&coroutine->inside);
    coroutine->inside.uc_stack.ss_sp = coroutine->stack;
    coroutine->inside.uc_stack.ss_size = stack_bytes;
    coroutine->inside.uc_link = NULL;
    unsigned long address = (unsigned long)coroutine;
    makecontext(&coroutine->inside, (void (*)(void))begin, 2, (unsigned)(address >> 32), (unsigned)address);
    return enter(coroutine);
}

bool swg_coroutine_resume(struct swg_coroutine *coroutine) { return enter(coroutine); }

void swg_coroutine_suspend(struct swg_coroutine *coroutine) { leave(coroutine, false); }
