package io.moextend.report;

/** What must not be overlooked, in big letters, and a sentence on it. */
public record Callout(String headline, String text) implements Block {}
