package io.moextend.train;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Which model is trained.
 *
 * @param base folder of a Hugging Face checkpoint
 * @param delta folder of trained weights to lay over the base: an earlier stage's result
 * @param visionTower folder of the vision tower, where the base does not hold one
 * @param tokenizer tokenizer file or its folder, where not in the base
 */
public record ModelSection(
    Path base, @Nullable Path delta, @Nullable Path visionTower, @Nullable Path tokenizer) {}
