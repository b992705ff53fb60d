import t from 'tap'
import { DescriptorQueue } from '../../lib/remote/descriptor-queue.js'
import { DescriptorStack } from '../../lib/remote/descriptor-stack.js'
import { forge } from '../support/forged-peer.js'

const one = forge('file', Buffer.from('1')).descriptor
const two = forge('file', Buffer.from('2')).descriptor

t.test('a queue gives descriptors in the order they came', async t => {
  const queue = new DescriptorQueue(2)
  t.equal(queue.empty, true)
  t.equal(queue.pop(), undefined)
  queue.pushBack(one)
  t.equal(queue.full, false)
  queue.pushBack(two)
  t.equal(queue.full, true)
  queue.pushBack(one)
  t.equal(queue.length, 3, 'the maximum is advice')
  t.equal(queue.peek(), one)
  t.same(queue.first(2), [one, two])
  t.equal(queue.pop(), one)
  t.equal(queue.pop(), two)
  t.equal(queue.pop(), one)
  t.equal(queue.empty, true)
})

t.test('a queue without a maximum is never full', async t => {
  const queue = new DescriptorQueue()
  for (let count = 0; count < 5000; count++) queue.pushBack(one)
  t.equal(queue.full, false)
  for (let count = 0; count < 4999; count++) queue.pop()
  t.equal(queue.length, 1)
  t.equal(queue.peek(), one)
})

t.test('a stack gives the latest descriptor first', async t => {
  const stack = new DescriptorStack(2)
  t.equal(stack.empty, true)
  stack.pushFront(one)
  t.equal(stack.full, false)
  stack.pushFront(two)
  t.equal(stack.full, true)
  t.equal(stack.length, 2)
  t.equal(stack.peek(), two)
  t.equal(stack.pop(), two)
  t.equal(stack.pop(), one)
  t.equal(stack.pop(), undefined)
  t.equal(new DescriptorStack().full, false)
})
