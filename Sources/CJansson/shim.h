#include <jansson.h>

/// Macros of jansson.h that Swift cannot see.
static inline size_t swg_json_full_precision(void) { return JSON_REAL_PRECISION(17); }
static inline size_t swg_json_shown_precision(void) { return JSON_REAL_PRECISION(15); }
static inline size_t swg_json_indent_two(void) { return JSON_INDENT(2); }
