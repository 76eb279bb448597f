"""Reports of mails that came back, in the shape in which servers send them, made after RFC 3464 and what is public.

Each takes the mail's Message-ID and the address that failed.
"""

import re
from email.utils import format_datetime
from itertools import count
from textwrap import dedent

from support.factories import NOW

_numbers = count(1)


def report(name: str, message_id: str, to: str, **changes: str) -> bytes:
    """One report as it lies in a mailbox."""
    number = next(_numbers)
    values = {
        "id": message_id,
        "to": to,
        "n": f"{number:04}",
        "date": format_datetime(NOW),
        "returned": _RETURNED.format(id=message_id, to=to, date=format_datetime(NOW)),
        **changes,
    }
    text = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], REPORTS[name] if name in REPORTS else OTHERS[name])
    return text.replace("\n", "\r\n").encode()


_RETURNED = """\
Received: from orderctl (desk [192.0.2.7]) by mail.brand.example; Sat, 14 Mar 2026 09:26:53 +0000
Message-ID: {id}
X-Orderctl-Message-ID: {id}
From: orders@brand.example
To: {to}
Subject: Your order was rejected
Date: {date}
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset="utf-8"

Hello,
your order was rejected.
"""


def _report(text: str) -> str:
    return dedent(text).lstrip("\n")


REPORTS = {
    "postfix": _report(
        """
        Return-Path: <>
        Received: by mail.brand.example (Postfix) id 4F2A{n}; Sat, 14 Mar 2026 09:27:01 +0000 (UTC)
        Date: {date}
        From: MAILER-DAEMON@mail.brand.example (Mail Delivery System)
        Subject: Undelivered Mail Returned to Sender
        To: orders@brand.example
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="4F2A.{n}/mail.brand.example"
        Message-Id: <20260314092701.4F2A{n}@mail.brand.example>

        This is a MIME-encapsulated message.

        --4F2A.{n}/mail.brand.example
        Content-Description: Notification
        Content-Type: text/plain; charset=us-ascii

        This is the mail system at host mail.brand.example.

        I'm sorry to have to inform you that your message could not
        be delivered to one or more recipients. It's attached below.

        <{to}>: host mx.example[192.0.2.25] said: 550 5.1.1 <{to}>: Recipient address
            rejected: User unknown in virtual mailbox table (in reply to RCPT TO command)

        --4F2A.{n}/mail.brand.example
        Content-Description: Delivery report
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mail.brand.example
        X-Postfix-Queue-ID: 4F2A{n}
        X-Postfix-Sender: rfc822; orders@brand.example
        Arrival-Date: Sat, 14 Mar 2026 09:26:54 +0000 (UTC)

        Final-Recipient: rfc822; {to}
        Original-Recipient: rfc822;{to}
        Action: failed
        Status: 5.1.1
        Remote-MTA: dns; mx.example
        Diagnostic-Code: smtp; 550 5.1.1 <{to}>: Recipient address rejected: User
            unknown in virtual mailbox table

        --4F2A.{n}/mail.brand.example
        Content-Description: Undelivered Message
        Content-Type: message/rfc822

        {returned}
        --4F2A.{n}/mail.brand.example--
        """
    ),
    "exim": _report(
        """
        Return-path: <>
        Received: from Debian-exim by mail.brand.example with local (Exim 4.84) id 1rT{n}-0001; Sat, 14 Mar 2026
        X-Failed-Recipients: {to}
        Auto-Submitted: auto-replied
        From: Mail Delivery System <Mailer-Daemon@mail.brand.example>
        To: orders@brand.example
        Subject: Mail delivery failed: returning message to sender
        Message-Id: <E1rT{n}-0001@mail.brand.example>
        Date: {date}

        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its
        recipients. This is a permanent error. The following address(es) failed:

          {to}
            SMTP error from remote mail server after RCPT TO:<{to}>:
            host mx.example [192.0.2.25]: 550 5.7.1 mailbox disabled for this recipient

        ------ This is a copy of the message, including all the headers. ------

        {returned}
        """
    ),
    "exim with a report": _report(
        """
        Return-path: <>
        X-Failed-Recipients: {to}
        Auto-Submitted: auto-replied
        From: Mail Delivery System <Mailer-Daemon@relay.example>
        To: orders@brand.example
        References: {id}
        Content-Type: multipart/report; report-type=delivery-status; boundary={n}-eximdsn-1804289383
        MIME-Version: 1.0
        Subject: Mail delivery failed: returning message to sender
        Message-Id: <E1tB{n}-Cf@relay.example>
        Date: {date}

        --{n}-eximdsn-1804289383
        Content-type: text/plain; charset=us-ascii

        This message was created automatically by mail delivery software.

          {to}
            all relevant MX records point to non-existent hosts

        --{n}-eximdsn-1804289383
        Content-type: message/delivery-status

        Reporting-MTA: dns; relay.example

        Action: failed
        Final-Recipient: rfc822;{to}
        Status: 5.0.0

        --{n}-eximdsn-1804289383
        Content-type: message/rfc822

        {returned}
        --{n}-eximdsn-1804289383--
        """
    ),
    "sendmail": _report(
        """
        Return-Path: <MAILER-DAEMON>
        Received: from localhost (localhost) by mail.brand.example (8.17.1/8.17.1) id 42E9R{n}; Sat, 14 Mar 2026
        Date: {date}
        From: Mail Delivery Subsystem <MAILER-DAEMON>
        Message-Id: <202603140927.42E9R{n}@mail.brand.example>
        To: <orders@brand.example>
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status;
            boundary="42E9R{n}.1773480421/mail.brand.example"
        Subject: Returned mail: see transcript for details
        Auto-Submitted: auto-generated (failure)

        This is a MIME-encapsulated message

        --42E9R{n}.1773480421/mail.brand.example

        The original message was received at Sat, 14 Mar 2026 09:26:54 GMT
        from desk [192.0.2.7]

           ----- The following addresses had permanent fatal errors -----
        <{to}>
            (reason: 550 5.1.1 <{to}>... User unknown)

           ----- Transcript of session follows -----
        ... while talking to mx.example.:
        >>> DATA
        <<< 550 5.1.1 <{to}>... User unknown
        550 5.1.1 <{to}>... User unknown

        --42E9R{n}.1773480421/mail.brand.example
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mail.brand.example
        Received-From-MTA: DNS; desk
        Arrival-Date: Sat, 14 Mar 2026 09:26:54 GMT

        Final-Recipient: RFC822; {to}
        Action: failed
        Status: 5.1.1
        Remote-MTA: DNS; mx.example
        Diagnostic-Code: SMTP; 550 5.1.1 <{to}>... User unknown
        Last-Attempt-Date: Sat, 14 Mar 2026 09:27:01 GMT

        --42E9R{n}.1773480421/mail.brand.example
        Content-Type: text/rfc822-headers

        Return-Path: <orders@brand.example>
        Message-ID: {id}
        From: orders@brand.example
        To: {to}
        Subject: Your order was rejected

        --42E9R{n}.1773480421/mail.brand.example--
        """
    ),
    "office 365": _report(
        """
        From: postmaster@brand.onmicrosoft.example
        To: orders@brand.example
        Date: {date}
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="0f6ae8b8-{n}"
        Content-Language: en-GB
        Message-ID: <0f6ae8b8-7d1e-4a6c-8f0e-{n}@AM6PR0.eurprd01.prod.example>
        In-Reply-To: {id}
        References: {id}
        Subject: Undeliverable: Your order was rejected
        Auto-Submitted: auto-replied
        X-MS-Exchange-Message-Is-Ndr:

        --0f6ae8b8-{n}
        Content-Type: multipart/alternative; differences=Content-Type; boundary="inner-{n}"

        --inner-{n}
        Content-Type: text/plain; charset="us-ascii"
        Content-Transfer-Encoding: quoted-printable

        Your message to {to} couldn't be delivered.
        =20
        --inner-{n}
        Content-Type: text/html; charset="us-ascii"

        <html><body>Your message couldn't be delivered.</body></html>
        --inner-{n}--

        --0f6ae8b8-{n}
        Content-Type: message/delivery-status

        Reporting-MTA: dns;AM6PR0.eurprd01.prod.example
        Received-From-MTA: dns;mail.brand.example
        Arrival-Date: Sat, 14 Mar 2026 09:26:55 +0000

        Original-Recipient: rfc822;{to}
        Final-Recipient: rfc822;{to}
        Action: failed
        Status: 5.1.10
        Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {to} not found by SMTP address lookup

        --0f6ae8b8-{n}
        Content-Type: message/rfc822

        {returned}
        --0f6ae8b8-{n}--
        """
    ),
    "exchange": _report(
        """
        From: System Administrator <postmaster@buyer.example>
        To: orders@brand.example
        Date: {date}
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="9B095B5A{n}"
        X-DSNContext: 335a7efd - 4523 - 00000001 - 80040546
        Message-ID: <FRaqbC8wS{n}@buyer.example>
        Subject: Delivery Status Notification (Failure)

        This is a MIME-formatted message.

        --9B095B5A{n}
        Content-Type: text/plain; charset=unicode-1-1-utf-7

        This is an automatically generated Delivery Status Notification.

        Delivery to the following recipients failed.

               {to}

        --9B095B5A{n}
        Content-Type: message/delivery-status

        Reporting-MTA: dns;exch.buyer.example
        Received-From-MTA: dns;mail.brand.example
        Arrival-Date: Sat, 14 Mar 2026 09:26:55 +0000

        Final-Recipient: rfc822;{to}
        Action: failed
        Status: 5.2.2
        X-Display-Name: Purchasing

        --9B095B5A{n}
        Content-Type: message/rfc822

        {returned}
        --9B095B5A{n}--
        """
    ),
    "gmail": _report(
        """
        Return-Path: <>
        From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>
        To: orders@brand.example
        Auto-Submitted: auto-replied
        Subject: Delivery Status Notification (Failure)
        References: {id}
        In-Reply-To: {id}
        X-Failed-Recipients: {to}
        Message-ID: <65f2c1.{n}.GMR@mx.google.example>
        Date: {date}
        MIME-Version: 1.0
        Content-Type: multipart/report; boundary="000000000000{n}"; report-type=delivery-status

        --000000000000{n}
        Content-Type: multipart/related; boundary="rel{n}"

        --rel{n}
        Content-Type: multipart/alternative; boundary="alt{n}"

        --alt{n}
        Content-Type: text/plain; charset="UTF-8"

        ** Address not found **

        Your message wasn't delivered to {to} because the address couldn't be found.

        --alt{n}
        Content-Type: text/html; charset="UTF-8"

        <html><body><b>Address not found</b></body></html>

        --alt{n}--
        --rel{n}--
        --000000000000{n}
        Content-Type: message/delivery-status

        Reporting-MTA: dns; googlemail.example
        Arrival-Date: Sat, 14 Mar 2026 02:26:55 -0700 (PDT)
        X-Original-Message-ID: {id}

        Final-Recipient: rfc822; {to}
        Action: failed
        Status: 5.1.1
        Remote-MTA: dns; gmail-smtp-in.l.google.example. (192.0.2.26, the server for the domain.)
        Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try
         550-5.1.1 double-checking the recipient's email address for typos or
         550 5.1.1 unnecessary spaces. - gsmtp
        Last-Attempt-Date: Sat, 14 Mar 2026 02:26:56 -0700 (PDT)

        --000000000000{n}
        Content-Type: message/rfc822

        {returned}
        --000000000000{n}--
        """
    ),
    "qmail": _report(
        """
        Return-Path: <>
        Received: (qmail {n} invoked for bounce); 14 Mar 2026 09:27:01 -0000
        Date: 14 Mar 2026 09:27:01 -0000
        From: MAILER-DAEMON@mail.buyer.example
        To: orders@brand.example
        Subject: failure notice

        Hi. This is the qmail-send program at mail.buyer.example.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <{to}>:
        192.0.2.25 does not like recipient.
        Remote host said: 550 5.1.1 sorry, no mailbox here by that name. (#5.1.1)
        Giving up on 192.0.2.25.

        --- Below this line is a copy of the message.

        {returned}
        """
    ),
    "amazon ses": _report(
        """
        Return-Path: <>
        Date: {date}
        From: MAILER-DAEMON@eu-west-1.amazonses.example
        To: orders@brand.example
        Subject: Delivery Status Notification (Failure)
        Message-ID: <0102018e3c{n}-000000@eu-west-1.amazonses.example>
        MIME-Version: 1.0
        Content-Type: multipart/report; boundary="----=_Part_{n}"; report-type=delivery-status

        ------=_Part_{n}
        Content-Type: text/plain; charset=us-ascii
        Content-Transfer-Encoding: 7bit

        An error occurred while trying to deliver the mail to the following recipients:
        {to}
        ------=_Part_{n}
        Content-Type: message/delivery-status

        Reporting-MTA: dns; a4-11.smtp-out.eu-west-1.amazonses.example

        Action: failed
        Final-Recipient: rfc822; {to}
        Diagnostic-Code: smtp; 550 5.4.4 Invalid domain
        Status: 5.4.4

        ------=_Part_{n}
        Content-Type: message/rfc822

        Message-ID: <0102018e3b{n}-aaaa-000000@eu-west-1.amazonses.example>
        X-Orderctl-Message-ID: {id}
        From: orders@brand.example
        To: {to}
        Subject: Your order was rejected
        Date: {date}

        Hello.

        ------=_Part_{n}--
        """
    ),
    "yahoo": _report(
        """
        Return-Path: <>
        From: MAILER-DAEMON@yahoo.com
        To: orders@brand.example
        Subject: Failure Notice
        X-Originating-IP: [192.0.2.40]
        Date: {date}
        Message-ID: <{n}.qm@omp1001.mail.yahoo.example>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8

        Sorry, we were unable to deliver your message to the following address.

        <{to}>:
        554: delivery error: dd This user doesn't have a yahoo.example account [0] - mta1.mail.yahoo.example

        --- Original message follows.

        Return-Path: <orders@brand.example>
        {returned}
        """
    ),
    "gmx": _report(
        """
        Return-Path: <>
        Auto-Submitted: auto-replied
        Date: {date}
        From: "GMX Mailer Daemon" <mailer-daemon@gmx.example>
        To: orders@brand.example
        Subject: Mail delivery failed: returning message to sender
        Message-ID: <1LyZ{n}-mailer-daemon@mout.gmx.example>
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of
        its recipients. This is a permanent error. The following address
        failed:

        {to}:
        Requested action not taken: mailbox unavailable
        552 5.2.2 quota exceeded for this mailbox


        --- The header of the original message is following. ---

        Received: from [192.0.2.7] by mrgmx.example id 1N{n}; Sat, 14 Mar 2026
        From: orders@brand.example
        To: {to}
        Subject: =3D?utf-8?q?Your_order?=3D
        Message-ID: {id}
        """
    ),
}
OTHERS = {
    "delayed": REPORTS["postfix"].replace("Action: failed", "Action: delayed").replace("Status: 5", "Status: 4"),
    "vacation": _report(
        """
        Return-Path: <>
        From: Aline <{to}>
        To: orders@brand.example
        Subject: Out of office: Your order was rejected
        Message-ID: <away-{n}@buyer.example>
        In-Reply-To: {id}
        References: {id}
        Auto-Submitted: auto-replied
        Precedence: bulk
        Date: {date}
        Content-Type: text/plain; charset=utf-8

        I am away until 30 March. Mails to my old address old@buyer.example are not delivered any more:
        550 user unknown. In urgent cases write to sales@buyer.example.

        > Message-ID: {id}
        """
    ),
    "read receipt": _report(
        """
        From: Aline <{to}>
        To: orders@brand.example
        Subject: Read: Your order was rejected
        Message-ID: <read-{n}@buyer.example>
        References: {id}
        Date: {date}
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=disposition-notification; boundary="mdn{n}"

        --mdn{n}
        Content-Type: text/plain

        Your message was read.

        --mdn{n}
        Content-Type: message/disposition-notification

        Final-Recipient: rfc822;{to}
        Original-Message-ID: {id}
        Disposition: manual-action/MDN-sent-manually; displayed

        --mdn{n}--
        """
    ),
    # A buyer answered our letter, and the answer came back: it refers to our mail, and is none of ours.
    "a buyer's answer": REPORTS["postfix"]
    .replace("{returned}", "Message-ID: <answer-{n}@buyer.example>\nIn-Reply-To: {id}\nReferences: {id}\n\nWhy?\n")
    .replace("Auto-Submitted", "References: {id}\nAuto-Submitted"),
}
