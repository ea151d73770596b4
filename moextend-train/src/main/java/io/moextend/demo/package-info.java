/**
 * A closed little world of coloured shapes: pictures, their descriptions, questions with known
 * answers, and a tokenizer for its words. Everything is a function of one seed.
 */
@NullMarked
package io.moextend.demo;

import org.jspecify.annotations.NullMarked;
