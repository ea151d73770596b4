/**
 * Prompted examples, each an input and a target: files, mixtures of tasks, packed rows of ids, and
 * rank classification.
 */
@NullMarked
package io.moextend.data.prompted;

import org.jspecify.annotations.NullMarked;
