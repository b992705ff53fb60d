#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { startProgram } from './start.js'

startProgram(fileURLToPath(import.meta.url))
