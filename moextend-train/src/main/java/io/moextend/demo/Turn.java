package io.moextend.demo;

/** A question and its answer. */
public record Turn(String question, String answer) {}
