package io.moextend.data;

import java.nio.file.Path;

/**
 * An image file ready for a tower.
 *
 * @param sha256 of the file's bytes, in hex
 * @param pixels [3, size, size]
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record Picture(Path file, String sha256, float[] pixels) {}
