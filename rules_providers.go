package smtpretry

import (
	"strings"
	"time"
)

// Sources that several rules name.
const (
	google     = "Google Workspace, Gmail SMTP errors and codes"
	microsoft  = "Microsoft, NDR codes in Exchange Online"
	yahoo      = "Yahoo Sender Hub, SMTP error codes"
	orange     = "Orange and La Poste, OFR and LPN codes"
	goDaddy    = "GoDaddy, bounceback codes"
	netEase    = "NetEase, bounce codes"
	comcast    = "Comcast postmaster, SMTP error codes"
	cox        = "Cox, email error codes"
	spectrum   = "Spectrum, email error codes"
	aol        = "AOL postmaster, error codes"
	facebook   = "Facebook postmaster, response codes"
	mimecast   = "Mimecast, SMTP error codes"
	hotmail    = "Outlook.com postmaster, SMTP error codes"
	tencent    = "Tencent QQ Mail, bounce pages"
	iUA        = "i.ua, error pages"
	messageLab = "Broadcom, Email Security.cloud bounce texts"
	coremail   = "Coremail, bounce texts"
)

// vendor writes the codes of a vendor as alternatives to look for, links
// included: each code in each of the forms it is given in, % being the code.
func vendor(forms, codes string) string {
	var out []string
	for _, code := range strings.Fields(codes) {
		for form := range strings.SplitSeq(forms, "|") {
			out = append(out, "~"+strings.ReplaceAll(form, "%", code))
		}
	}
	return "'" + strings.Join(out, "|") + "'"
}

// How vendors write their codes, punctuation apart: OFR_417, OFR006_102,
// LPN007_420, LPN416; AUP#I-1000; no=1000722.
const (
	formOrange   = "ofr %|ofr# %|lpn %|lpn# %|lpnaaa %|ouk %"
	formSpectrum = "aup i %|aup o %|aup in %|aup out %|aup %"
	formCox      = "aup %|aup %*"
	formGoDaddy  = "ib%"
	formIUA      = "i ua err %"
)

// providerRules give the meaning that a provider documents of its own codes
// and texts, which beats what the words seem to say.
var providerRules = []builtinRule{
	// Gmail. Its 4.7.0, 5.7.0 and 5.7.1 mean nothing without the words.
	{name: "gmail-daily-quota", codes: "550", enhanced: "5.4.5", cause: CauseRateLimit, scope: ScopeAccount, class: Temporary, after: time.Hour, source: google + " (resets within 24 hours)",
		sample: "mail: 550-5.4.5 Daily user sending limit exceeded. For more information go to\n550 5.4.5 https://support.google.com/a/answer/166852 a1b2 - gsmtp"},
	{name: "gmail-relay-quota", codes: "550", words: "'daily smtp relay|daily sending quota|daily user sending'", cause: CauseRateLimit, scope: ScopeAccount, class: Temporary, after: time.Hour, source: google + " (resets within 24 hours)",
		sample: "dot: 550 5.7.1 Daily SMTP relay sending limit exceeded for this customer. - gsmtp"},
	{name: "gmail-no-ptr", enhanced: "4.7.23 x.7.25", words: "!'temporary error|temporary problem|timeout|servfail|lookup failure'", cause: CauseSenderPolicy, scope: ScopeHost, source: google,
		sample: "dot: 421 4.7.23 The sending IP address for this message is not set up. - gsmtp"},
	{name: "gmail-dns-for-dmarc", codes: "4", enhanced: "4.7.26", words: "'temporary dns'", cause: CauseDNS, scope: ScopeHost, source: google,
		sample: "dot: 451 4.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy, but temporary DNS failures prevent authentication. - gsmtp"},
	{name: "gmail-sender-policy", enhanced: "x.7.20-22 5.7.23 x.7.24 x.7.26 x.7.30 x.7.31 x.7.32 x.7.40", cause: CauseSenderPolicy, source: google,
		sample: "dot: 421 4.7.32 Your email has been rate limited because the From: header is not aligned. - gsmtp"},
	{name: "gmail-rate-of-domain", words: "'unusual rate*' 'dkim domain|spf domain|url domain*|your domain|with the same message id|from your domain'", cause: CauseRateLimit, scope: ScopeSender, source: google,
		sample: "dot: 421 4.7.28 Gmail has detected an unusual rate of mail originating from your DKIM domain. - gsmtp"},
	{name: "gmail-same-message-id", words: "'same message id'", cause: CauseRateLimit, scope: ScopeMessage, source: google,
		sample: "dot: 421 4.7.28 Gmail has detected this message exceeded its quota for sending messages with the same Message-ID:. - gsmtp"},
	{name: "gmail-malformed", words: "'~rfcmessagenoncompliant'", cause: CauseProtocol, scope: ScopeMessage, source: google,
		sample: "dot: 550 5.7.1 To reduce the amount of spam sent to Gmail, this message has been blocked. https://support.google.com/mail/?p=RfcMessageNonCompliant - gsmtp"},
	{name: "gmail-one-domain", words: "'multiple destination domains'", cause: CauseTooManyRecipients, source: google,
		sample: "rcpt: 451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again. - gsmtp"},
	{name: "gmail-relay-abuse", words: "'relay denied' 'suspended due to abuse|suspended'", cause: CauseReputation, scope: ScopeAccount, source: google,
		sample: "mail: 550 5.7.0 Email relay denied 192.0.2.1. The sending email account has been temporarily suspended due to abuse. - gsmtp"},
	{name: "gmail-relay", words: "'mail relay denied|invalid credentials for relay|email relay denied'", cause: CauseRelayDenied, scope: ScopeAccount, source: google,
		sample: "mail: 550 5.7.1 Invalid credentials for relay 192.0.2.1. - gsmtp"},
	{name: "gmail-sending-denied", words: "'mail sending denied|no identity changes'", cause: CauseAuth, source: google,
		sample: "mail: 550 5.7.0 Mail Sending denied. - gsmtp"},
	{name: "gmail-not-allowed-ip", words: "'not in whitelist for rcpt domain|not in allowlist'", cause: CauseRelayDenied, source: google,
		sample: "rcpt: 421 4.7.0 IP not in whitelist for RCPT domain, closing connection. - gsmtp"},
	{name: "gmail-direct", words: "'not authorized to send email directly'", cause: CauseReputation, source: google,
		sample: "dot: 550 5.7.1 The IP you're using to send mail is not authorized to send email directly to our servers. - gsmtp"},

	// Microsoft: Exchange Online and Outlook.com.
	{name: "microsoft-daily-quota", words: "'~submissionquotaexceeded*|submission quota exceeded|reached your daily limit for message recipients'", cause: CauseRateLimit, scope: ScopeAccount, class: Temporary, after: time.Hour, source: microsoft + " (per day)",
		sample: "dot: 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"},
	{name: "microsoft-recipient-threads", words: "'recipient thread limit|receive limit*'", cause: CauseRateLimit, scope: ScopeRecipient, source: microsoft,
		sample: "dot: 432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded"},
	{name: "microsoft-receive-rate", enhanced: "5.2.121 5.2.122", cause: CauseRateLimit, scope: ScopeRecipient, source: microsoft,
		sample: "dot: 554 5.2.122 The recipient has exceeded their limit for messages"},
	{name: "microsoft-spam-account", enhanced: "5.7.501-503", cause: CauseReputation, scope: ScopeAccount, source: microsoft,
		sample: "dot: 550 5.7.501 Access denied, spam abuse detected"},
	{name: "microsoft-outbound-sender", words: "'bad outbound sender'", cause: CauseReputation, scope: ScopeAccount, source: microsoft,
		sample: "mail: 550 5.1.8 Access denied, bad outbound sender"},
	{name: "microsoft-banned-recipient", enhanced: "5.7.504-505", cause: CauseBadRecipient, source: microsoft,
		sample: "rcpt: 550 5.7.505 Access denied, banned recipient"},
	{name: "microsoft-bad-helo", enhanced: "5.7.506", cause: CauseSenderPolicy, scope: ScopeHost, source: microsoft, sample: "hello: 550 5.7.506 Access Denied, Bad HELO"},
	{name: "microsoft-dmarc", enhanced: "5.7.509 5.7.515", cause: CauseSenderPolicy, source: microsoft,
		sample: "dot: 550 5.7.515 Access denied, sending domain EXAMPLE.ORG doesn't meet the required authentication level"},
	{name: "microsoft-range-rate", enhanced: "5.7.508", cause: CauseRateLimit, source: microsoft,
		sample: "rcpt: 550 5.7.508 Access denied, [2001:db8::1] has exceeded permitted limits within 2001:db8::/64 range"},
	{name: "microsoft-no-ipv6", enhanced: "5.7.510", cause: CauseRelayDenied, source: microsoft, sample: "rcpt: 550 5.7.510 Access denied, example.org does not accept email over IPv6"},
	{name: "microsoft-not-rfc", enhanced: "5.7.512", cause: CauseProtocol, source: microsoft,
		sample: "dot: 550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant"},
	{name: "microsoft-banned-ip", enhanced: "5.7.507 5.7.511 5.7.513 5.7.606-649", cause: CauseReputation, source: microsoft,
		sample: "mail: 550 5.7.606 Access denied, banned sending IP [192.0.2.1]"},
	{name: "microsoft-traffic-ip", enhanced: "5.7.708", cause: CauseReputation, source: microsoft, sample: "mail: 550 5.7.708 Access denied, traffic not accepted from this IP"},
	{name: "microsoft-tenant", enhanced: "5.7.700-749", cause: CauseReputation, scope: ScopeAccount, source: microsoft,
		sample: "dot: 550 5.7.705 Access denied, tenant has exceeded threshold"},
	{name: "microsoft-unregistered", enhanced: "5.7.750", cause: CauseBadSender, source: microsoft,
		sample: "mail: 550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains"},
	{name: "microsoft-pfa", enhanced: "4.7.700", cause: CauseOverload, source: microsoft, sample: "mail: 451 4.7.700 PFA agent busy, please try again"},
	{name: "microsoft-watched-ip", enhanced: "4.7.500-699 4.7.850-899", cause: CauseReputation, source: microsoft,
		sample: "rcpt: 451 4.7.500 Server busy. Please try again later from [192.0.2.1]."},
	{name: "microsoft-tls", enhanced: "x.4.317 x.7.321-325", cause: CauseTLS, source: microsoft,
		sample: "dot: 451 4.7.321 starttls-not-supported: Destination mail server must support TLS to receive mail"},
	{name: "microsoft-members-only", enhanced: "5.7.12 5.7.13 5.7.124 5.7.133-136", words: "'sender*|permission*|restricted|not authenticated'", cause: CauseBadSender, scope: ScopeRecipient, source: microsoft,
		sample: "dot: 550 5.7.133 Sender not authenticated for group"},
	{name: "microsoft-restricted", words: "'~resolver rst notauthorized*|~resolver rst authrequired*|~resolver rst sendernotauthenticated*'", cause: CauseBadSender, scope: ScopeRecipient, source: microsoft,
		sample: "dot: 550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized"},
	{name: "microsoft-recipient-limit", words: "'~resolver adr reciplimit|~resolver adr recipientlimit'", cause: CauseTooManyRecipients, source: microsoft,
		sample: "dot: 550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients"},
	{name: "microsoft-resolver", words: "'~resolver adr|~smtpsend dns nonexistentdomain'", cause: CauseBadRecipient, source: microsoft,
		sample: "rcpt: 550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found"},
	{name: "microsoft-relay", enhanced: "5.7.64", cause: CauseRelayDenied, scope: ScopeAccount, source: microsoft, sample: "rcpt: 550 5.7.64 TenantAttribution; Relay Access Denied"},
	{name: "microsoft-no-tenant", words: "'~tenantinboundattribution|hosted tenant'", cause: CauseRelayDenied, source: microsoft,
		sample: "dot: 451 4.4.4 Mail received as unauthenticated, incoming to a recipient domain configured in a hosted tenant which has no mail-enabled subscriptions."},
	{name: "microsoft-directory", enhanced: "5.4.1", words: "'recipient address rejected access denied'", cause: CauseBadRecipient, source: microsoft,
		sample: "rcpt: 550 5.4.1 Recipient address rejected: Access denied. [example.prod.protection.outlook.com]"},
	{name: "microsoft-sender-filter", words: "'sender denied|senderfilterconfig'", cause: CauseReputation, scope: ScopeSender, source: microsoft, sample: "mail: 554 5.1.0 Sender denied"},
	{name: "microsoft-as345", enhanced: "5.0.350", cause: CauseContent, source: microsoft,
		sample: "dot: 550 5.0.350 Requested action not taken: policy violation detected (AS345)"},
	{name: "hotmail-virus", words: "'dy 002|ou 002'", cause: CauseContent, source: hotmail, sample: "dot: 550 OU-002 Mail rejected by Outlook.com for policy reasons"},
	{name: "hotmail-blocked", words: "'dy 001|ou 001|sc 001|sc 002|sc 003|sc 004'", cause: CauseReputation, source: hotmail,
		sample: "mail: 550 SC-001 Mail rejected by Outlook.com for policy reasons"},

	// Yahoo and AOL.
	{name: "yahoo-never", codes: "4", words: "'permanently deferred|retrying will not succeed'", cause: CauseReputation, class: Permanent, source: yahoo + " (never succeeds)",
		sample: "mail: 421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed."},
	{name: "yahoo-greylist", words: vendor("%", "gl01"), cause: CauseGreylist, source: yahoo, sample: "rcpt: 451 4.7.1 [GL01] Message from (192.0.2.1) temporarily deferred"},
	{name: "yahoo-complaints", words: "'ts#|tss#|ipts#|user complaints|unexpected volume or|vs1 ip|vs1 mf|vs99 ip#'", cause: CauseReputation, source: yahoo,
		sample: "mail: 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints"},
	{name: "yahoo-dkim", words: vendor("%", "au01"), cause: CauseSenderPolicy, source: yahoo, sample: "dot: 554 5.7.5 (AU01) Message not accepted for policy reasons"},
	{name: "yahoo-dmarc", enhanced: "5.7.9", words: "'for policy reasons'", cause: CauseSenderPolicy, source: yahoo, sample: "dot: 554 5.7.9 Message not accepted for policy reasons."},
	{name: "yahoo-content", words: "'~ph#|~sp#' 'not allowed|not accepted|policy'", cause: CauseContent, source: yahoo,
		sample: "dot: 554 Message not allowed - [PH01] Email not accepted for policy reasons."},
	{name: "yahoo-deferred", codes: "4", words: "'message temporarily deferred' !content !spam !ipLiteral !'unresolvable*|due to'", cause: CauseUnknown, scope: ScopeMessage, source: yahoo,
		sample: "dot: 451 Message temporarily deferred - [160]"},
	{name: "aol-dynamic", words: "'~dyn t#|~rtr du|~rtr bb|~rtr sc|~rtr bl|~rly bl|~rly ir|~con b1|~rtr bg'", cause: CauseReputation, source: aol, sample: "greeting: 554 (RTR:DU) http://postmaster.info.aol.com/errors/554rtrdu.html"},
	{name: "aol-rate", words: "'~rly b1|~rly b2|~rly b3'", cause: CauseRateLimit, source: aol, sample: "mail: 554 (RLY:B1) http://postmaster.info.aol.com/errors/554rlyb1.html"},
	{name: "aol-content", words: "'~rtr ch|~hvu b1|~hvu b2|~hvu b3|~rly bd|~rly ch|~hvu b*'", cause: CauseContent, source: aol, sample: "dot: 554 (HVU:B1) http://postmaster.info.aol.com/errors/554hvub1.html"},
	{name: "aol-reverse-dns", words: "'~rtr rd|~dns nr'", cause: CauseSenderPolicy, scope: ScopeHost, source: aol, sample: "greeting: 554 (RTR:RD) http://postmaster.info.aol.com/errors/554rtrrd.html"},
	{name: "aol-sender", words: "'~rly sn'", cause: CauseBadSender, source: aol, sample: "mail: 554 (RLY:SN) http://postmaster.info.aol.com/errors/554rlysn.html"},
	{name: "aol-error", words: "'~rtr ge'", cause: CauseOverload, source: aol, sample: "greeting: 421 (RTR:GE) http://postmaster.info.aol.com/errors/554rtrge.html"},

	// Orange and La Poste.
	{name: "orange-blocked", words: vendor(formOrange, "101 102 103 109 201 510 630 999"), cause: CauseReputation, source: orange, sample: "greeting: 550 mwinf5c10 ME Service refuse. Veuillez essayer plus tard. OFR006_103 192.0.2.1 [103]"},
	{name: "orange-busy", words: vendor(formOrange, "105 107 108 423 424 505"), cause: CauseOverload, source: orange, sample: "dot: 421 4.2.1 Service refuse. Veuillez essayer plus tard. LPN007_505"},
	{name: "orange-sender-policy", words: vendor(formOrange, "401 517"), cause: CauseSenderPolicy, source: orange, sample: "dot: 571 5.7.1 Message refused LPN007_517"},
	{name: "orange-sender", words: vendor(formOrange, "403 405 415 421"), cause: CauseBadSender, source: orange, sample: "mail: 501 5.1.0 Emetteur invalide. OFR004_405 [405]"},
	{name: "orange-recipient", words: vendor(formOrange, "416 418 420 426") + "|'lpn416'", cause: CauseBadRecipient, source: orange, sample: "rcpt: 550 5.5.0 Le compte du destinataire est bloque. LPN007_426"},
	{name: "orange-content", words: vendor(formOrange, "506 513"), cause: CauseContent, source: orange, sample: "dot: 550 5.2.0 Mail rejete. Mail rejected. ofr_506 [506]"},

	// GoDaddy.
	{name: "godaddy-reverse-dns", words: vendor(formGoDaddy, "108"), cause: CauseSenderPolicy, scope: ScopeHost, source: goDaddy, sample: "greeting: 421 Temporarily rejected. IB108"},
	{name: "godaddy-connections", words: vendor(formGoDaddy, "007 510"), cause: CauseConnectionLimit, source: goDaddy, sample: "greeting: 421 Connection refused. IB007"},
	{name: "godaddy-blocked-for-a-time", words: vendor(formGoDaddy, "110 111 112 113"), cause: CauseReputation, class: Temporary, after: time.Hour, source: goDaddy + " (blocked for an hour or the day)", sample: "greeting: 554 This IP has been blocked for the day. IB113"},
	{name: "godaddy-content", words: vendor(formGoDaddy, "212 705"), cause: CauseContent, source: goDaddy, sample: "dot: 552 This message has been rejected. IB212"},
	{name: "godaddy-spf", words: vendor(formGoDaddy, "508"), cause: CauseSenderPolicy, source: goDaddy, sample: "mail: 550 Invalid record. IB508"},

	// NetEase (163, 126, yeah.net).
	{name: "netease-blocked", words: "'hl rep|hl mep|hl ihu|hl ipb|dt rbl|wm bli|ip cx'", cause: CauseReputation, source: netEase, sample: "greeting: 421 HL:REP"},
	{name: "netease-blocked-sender", words: "'wm blu|mi spb'", cause: CauseReputation, scope: ScopeSender, source: netEase, sample: "mail: 554 MI:SPB"},
	{name: "netease-connections", words: "'hl icc|mi dmc|rp drc|mi ccl|rp ccl'", cause: CauseConnectionLimit, source: netEase, sample: "mail: 450 MI:DMC"},
	{name: "netease-rate-ip", words: "'hl ifc'", cause: CauseRateLimit, source: netEase, sample: "greeting: 421 HL:IFC"},
	{name: "netease-daily-connections", codes: "550", words: "'mi stc'", cause: CauseConnectionLimit, class: Temporary, after: time.Hour, source: netEase + " (refused until the day ends)", sample: "mail: 550 MI:STC"},
	{name: "netease-daily-quota", words: "'mi stc|rp trc'", cause: CauseRateLimit, scope: ScopeSender, class: Temporary, after: time.Hour, source: netEase + " (refused until the day ends)", sample: "mail: 554 MI:STC"},
	{name: "netease-rate-sender", words: "'mi sfq|rp qrc'", cause: CauseRateLimit, scope: ScopeSender, source: netEase, sample: "mail: 451 MI:SFQ"},
	{name: "netease-errors", words: "'mi cel|rp cel'", cause: CauseProtocol, scope: ScopeConnection, source: netEase, sample: "mail: 450 MI:CEL"},
	{name: "netease-helo", words: "'mi nhd'", cause: CauseSenderPolicy, scope: ScopeHost, source: netEase, sample: "mail: 550 MI:NHD"},
	{name: "netease-sender", words: "'mi imf|dt sum'", cause: CauseBadSender, source: netEase, sample: "mail: 550 MI:IMF"},
	{name: "netease-sender-policy", words: "'mi spf|mi dma'", cause: CauseSenderPolicy, source: netEase, sample: "mail: 550 MI:SPF"},
	{name: "netease-relay", words: "'rp frl'", cause: CauseRelayDenied, source: netEase, sample: "rcpt: 550 RP:FRL"},
	{name: "netease-recipients", words: "'rp rcl'", cause: CauseTooManyRecipients, source: netEase, sample: "rcpt: 550 RP:RCL"},
	{name: "netease-content", words: "'dt spm'", cause: CauseContent, source: netEase, sample: "dot: 554 DT:SPM"},
	{name: "netease-logins", words: "'smtp auth error*|fail authentication'", cause: CauseAuth, source: netEase, sample: "greeting: 554 IP is rejected, smtp auth error limit exceed"},

	// Comcast.
	{name: "comcast-throttled-domain", words: "'~rl000010|~rl000011'", cause: CauseRateLimit, scope: ScopeSender, source: comcast, sample: "rcpt: 451 4.2.0 Throttled - https://postmaster.comcast.net/smtp-error-codes.php#RL000010"},
	{name: "comcast-dmarc", words: "'~dm000*|~odm00*'", cause: CauseSenderPolicy, source: comcast, sample: "dot: 550 5.2.0 Message rejected. Please see http://postmaster.comcast.net/smtp-error-codes.php#DM000001"},
	{name: "block-number", words: "'~bl#|~es0000#'", cause: CauseReputation, source: comcast + "; " + yahoo, sample: "greeting: 554 192.0.2.1 http://postmaster.comcast.net/smtp-error-codes.php#BL000001"},

	// Cox and Spectrum.
	{name: "cox-blocked", words: vendor(formCox, "cxbl cdrbl ipbl#"), cause: CauseReputation, source: cox, sample: "greeting: 554 blocked AUP#CXBL"},
	{name: "cox-account", words: vendor(formCox, "cxthrt cxmj"), cause: CauseReputation, scope: ScopeAccount, source: cox, sample: "mail: 554 limited AUP#CXMJ"},
	{name: "cox-reverse-dns", words: vendor(formCox, "cxdns"), cause: CauseSenderPolicy, scope: ScopeHost, source: cox, sample: "greeting: 554 refused AUP#CXDNS"},
	{name: "cox-sender", words: vendor(formCox, "cxsndr cxsmtp"), cause: CauseBadSender, source: cox, sample: "mail: 550 refused AUP#CXSNDR"},
	{name: "cox-connections", words: vendor(formCox, "cxcnct"), cause: CauseConnectionLimit, source: cox, sample: "greeting: 421 blocked. AUP#CXCNCT"},
	{name: "cox-rate", words: vendor(formCox, "cxmxrt"), cause: CauseRateLimit, source: cox, sample: "mail: 452 refused AUP#CXMXRT"},
	{name: "cox-link", words: vendor(formCox, "urlbl#"), cause: CauseContent, source: cox, sample: "dot: 552 refused AUP#URLBL011"},
	{name: "spectrum-blocked", words: vendor(formSpectrum, "1000 1200 1210 1220 1230 1240 1250 1560"), cause: CauseReputation, source: spectrum, sample: "greeting: 554 refused AUP#I-1220"},
	{name: "spectrum-suspicious", stages: "greeting", words: vendor(formSpectrum, "1010 1020 1030 1040 1050 1060 1070 1080"), cause: CauseReputation, source: spectrum, sample: "greeting: 554 not available AUP#I-1010"},
	{name: "spectrum-account", words: vendor(formSpectrum, "1010 1020 1030 1040 1050 1060 1070 1080"), cause: CauseReputation, scope: ScopeAccount, source: spectrum, sample: "mail: 554 not available AUP#O-1010"},
	{name: "spectrum-busy", words: vendor(formSpectrum, "1090"), cause: CauseOverload, source: spectrum, sample: "dot: 421 refused AUP#I-1090"},
	{name: "spectrum-reverse-dns", words: vendor(formSpectrum, "1100 1110 1120 1130 1140 1150"), cause: CauseSenderPolicy, scope: ScopeHost, source: spectrum, sample: "greeting: 554 refused AUP#I-1110"},
	{name: "spectrum-policy", words: vendor(formSpectrum, "1160 1170 1180 1190"), cause: CauseSenderPolicy, source: spectrum, sample: "dot: 554 refused AUP#I-1160"},
	{name: "spectrum-connections", words: vendor(formSpectrum, "1300 1310 1320 1330 1340 1540"), cause: CauseConnectionLimit, source: spectrum, sample: "mail: 550 5.1.0 sender rejected AUP#I-1310"},
	{name: "spectrum-rate", words: vendor(formSpectrum, "1350 1360 1370 1380 1390 1400 1410 1420 1430 1440 1450 1460 1470 1480 1490 1580"), cause: CauseRateLimit, source: spectrum, sample: "mail: 421 refused AUP#I-1350"},
	{name: "spectrum-sender", words: vendor(formSpectrum, "1500 1520"), cause: CauseBadSender, source: spectrum, sample: "mail: 550 refused AUP#O-1500"},
	{name: "spectrum-size", words: vendor(formSpectrum, "1530"), cause: CauseSize, source: spectrum, sample: "dot: 552 refused AUP#I-1530"},
	{name: "spectrum-recipients", words: vendor(formSpectrum, "1550"), cause: CauseTooManyRecipients, source: spectrum, sample: "rcpt: 452 refused AUP#I-1550"},

	// Facebook.
	{name: "facebook-blocked-hours", codes: "5", words: "'~pol p3'", cause: CauseReputation, class: Temporary, after: 4 * time.Hour, source: facebook + " (4 to 8 hours)", sample: "mail: 554 5.7.1 POL-P3 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#pol Refused"},
	{name: "facebook-blocked-days", codes: "5", words: "'~pol p4'", cause: CauseReputation, class: Temporary, after: 24 * time.Hour, source: facebook + " (24 to 48 hours)", sample: "mail: 554 5.7.1 POL-P4 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#pol Refused"},
	{name: "facebook-blocked", words: "'~pol p1|~pol p2|~pol t1|~pol t2|~pol t3'", cause: CauseReputation, source: facebook, sample: "mail: 554 5.7.1 POL-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#pol Refused"},
	{name: "facebook-content", words: "'~pol p5|~pol p6|~pol p8|~msg p2'", cause: CauseContent, source: facebook, sample: "dot: 554 5.7.1 POL-P6 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#pol Refused"},
	{name: "facebook-sender-policy", words: "'~pol p7'", cause: CauseSenderPolicy, source: facebook, sample: "dot: 554 5.7.1 POL-P7 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#pol Refused"},
	{name: "facebook-preferences", words: "'~rcp p2|~rcp p3'", cause: CauseBadSender, scope: ScopeRecipient, source: facebook, sample: "rcpt: 550 5.1.1 RCP-P3 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#rcp Refused"},
	{name: "facebook-recipient", words: "'~rcp p1|~rcp t4|~int p1|~int p3|~int p4'", cause: CauseBadRecipient, source: facebook, sample: "rcpt: 550 5.1.1 RCP-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#rcp Refused"},
	{name: "facebook-full", words: "'~int p7'", cause: CauseMailboxFull, source: facebook, sample: "dot: 552 5.2.2 INT-P7 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#int Refused"},
	{name: "facebook-size", words: "'~msg p1|~int p2'", cause: CauseSize, source: facebook, sample: "dot: 552 5.3.4 MSG-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#msg Refused"},
	{name: "facebook-format", words: "'~msg p3'", cause: CauseProtocol, scope: ScopeMessage, source: facebook, sample: "dot: 550 5.6.0 MSG-P3 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#msg Refused"},
	{name: "facebook-sender", words: "'~dns p1|~dns p2'", cause: CauseBadSender, source: facebook, sample: "mail: 550 5.1.8 DNS-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#dns Refused"},
	{name: "facebook-sender-lookup", words: "'~dns t1'", cause: CauseDNS, scope: ScopeSender, source: facebook, sample: "mail: 450 4.1.8 DNS-T1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#dns Deferred"},
	{name: "facebook-reverse-dns", words: "'~dns p3|~dns t2'", cause: CauseSenderPolicy, scope: ScopeHost, source: facebook, sample: "mail: 550 DNS-P3 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#dns Refused"},
	{name: "facebook-recipients", words: "'~msg t1'", cause: CauseTooManyRecipients, source: facebook, sample: "rcpt: 452 4.5.3 MSG-T1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#msg Refused"},
	{name: "facebook-connections", words: "'~con t1|~con t2|~con t3|~con t4'", cause: CauseConnectionLimit, source: facebook, sample: "greeting: 421 4.3.2 CON-T2 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#con Refused"},
	{name: "facebook-busy", words: "'~rcp t1|~int t#|~int tx'", cause: CauseOverload, source: facebook, sample: "dot: 451 4.3.0 INT-T3 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#int Deferred"},

	// Mimecast.
	{name: "mimecast-greylist", codes: "4", words: "'internal resource temporarily|internal resources temporarily|internal resources are temporarily'", cause: CauseGreylist, source: mimecast, sample: "rcpt: 451 Internal resource temporarily unavailable"},
	{name: "mimecast-blocked-sender", words: "'administrative prohibition envelope blocked|header based blocked senders|block policy for*'", cause: CauseReputation, scope: ScopeSender, source: mimecast,
		sample: "rcpt: 550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550"},
	{name: "mimecast-personal", words: "'envelope blocked user|manually blocked senders|block for manual'", cause: CauseBadSender, scope: ScopeRecipient, source: mimecast, sample: "rcpt: 550 Envelope blocked - User Entry"},
	{name: "mimecast-busy", codes: "451", words: "'recipient temporarily unavailable|unable to process connection|unable to process command|unable to process an email'", cause: CauseOverload, source: mimecast, sample: "rcpt: 451 Recipient temporarily unavailable"},
	{name: "mimecast-connections", words: "'account service is temporarily|outbound thread limit'", cause: CauseConnectionLimit, source: mimecast, sample: "rcpt: 451 Account service is temporarily unavailable"},
	{name: "mimecast-disabled", words: "'account outbounds disabled|hostname is not authorized'", cause: CauseRelayDenied, scope: ScopeAccount, source: mimecast, sample: "mail: 451 Account outbounds disabled"},
	{name: "mimecast-network", words: "'host network not allowed|host network'", cause: CauseReputation, source: mimecast, sample: "rcpt: 554 Host network not allowed"},

	// Tencent QQ.
	{name: "qq-rate-recipient", codes: "550", words: "'mailbox unavailable or access'", cause: CauseRateLimit, scope: ScopeRecipient, source: tencent, sample: "rcpt: 550 Mailbox unavailable or access denied"},
	{name: "qq-spam-ip", words: "'suspected spam ip|suspected bounce attacks|connection denied'", cause: CauseReputation, source: tencent, sample: "dot: 550 Suspected spam ip"},
	{name: "qq-spam-sender", words: "'suspected spam sender'", cause: CauseReputation, scope: ScopeSender, source: tencent, sample: "dot: 550 Suspected spam sender."},

	// i.ua.
	{name: "iua-relay", words: vendor(formIUA, "1 6"), cause: CauseRelayDenied, source: iUA, sample: "rcpt: 550 http://mail.i.ua/err/1"},
	{name: "iua-recipient", words: vendor(formIUA, "2 3"), cause: CauseBadRecipient, source: iUA, sample: "rcpt: 550 http://mail.i.ua/err/2"},
	{name: "iua-full", words: vendor(formIUA, "4"), cause: CauseMailboxFull, source: iUA, sample: "rcpt: 552 http://mail.i.ua/err/4"},
	{name: "iua-rate", words: vendor(formIUA, "5"), cause: CauseRateLimit, source: iUA, sample: "rcpt: 450 http://mail.i.ua/err/5"},
	{name: "iua-helo", words: vendor(formIUA, "7"), cause: CauseSenderPolicy, scope: ScopeHost, source: iUA, sample: "rcpt: 550 http://mail.i.ua/err/7"},
	{name: "iua-sender", words: vendor(formIUA, "8"), cause: CauseBadSender, source: iUA, sample: "mail: 550 http://mail.i.ua/err/8"},
	{name: "iua-blocked", words: vendor(formIUA, "9"), cause: CauseReputation, source: iUA, sample: "rcpt: 550 http://mail.i.ua/err/9"},
	{name: "iua-personal", words: vendor(formIUA, "10"), cause: CauseBadSender, scope: ScopeRecipient, source: iUA, sample: "rcpt: 550 http://mail.i.ua/err/10"},

	// Email Security.cloud (Symantec, MessageLabs).
	{name: "symantec-private-list", words: "'sorry your domain has been|sorry your email address has been'", cause: CauseBadSender, scope: ScopeRecipient, source: messageLab, sample: "mail: 553 Sorry, your domain has been blocked"},
	{name: "symantec-format", codes: "5", words: "'requested action aborted 4'", cause: CauseProtocol, scope: ScopeMessage, source: messageLab, sample: "dot: 550 Requested action aborted [4]"},
	{name: "symantec-aborted", words: "'requested action aborted # #'", cause: CauseUnknown, source: messageLab, sample: "dot: 450 Requested action aborted [9] 21-112"},

	// Others with texts of their own.
	{name: "policyd-weight-listed", words: "'mail appeared to be spam or forged'", cause: CauseReputation, source: "policyd-weight", sample: "rcpt: 550 5.7.1 Recipient address rejected: Mail appeared to be SPAM or forged."},
	{name: "policyd-weight", codes: "5", words: "'retrying too fast'", cause: CauseReputation, class: Temporary, source: "policyd-weight (the text gives the penalty)", sample: "rcpt: 550 5.7.1 Recipient address rejected: temporarily blocked because of previous errors - retrying too fast. penalty: 30 seconds x 0 retries."},
	{name: "icloud-daily-quota", codes: "550", words: "'exceeded your daily'", cause: CauseRateLimit, scope: ScopeAccount, class: Temporary, after: time.Hour, source: "Apple, Mailbox size and message sending limits in iCloud (per day)", sample: "dot: 550 5.7.1 You have exceeded your daily sending limit. Please try again later."},
	{name: "trendmicro-list", words: "'ers customized block|ers dul|ers rbl|ers qil'", cause: CauseReputation, source: "Trend Micro, Email Reputation Services", sample: "rcpt: 550 5.7.1 Recipient address rejected: ERS-DUL."},
	{name: "trendmicro-blocked-sender", words: "'block send er'", cause: CauseReputation, scope: ScopeSender, source: "Trend Micro, Hosted Email Security", sample: "rcpt: 554 5.7.1 Recipient address rejected: BLOCK-SEND-ER."},
	{name: "trendmicro-no-domain", words: "'rejected no domain'", cause: CauseRelayDenied, source: "Trend Micro, Email Security", sample: "rcpt: 554 5.7.1 Recipient address rejected: NO-DOMAIN."},
	{name: "t-online-blocked", words: "'problem occurred ask your postmaster'", cause: CauseReputation, source: "Telekom, postmaster information", sample: "greeting: 554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)"},
	{name: "gmx-policy", stages: "greeting hello mail", words: "'reject due to policy'", cause: CauseReputation, source: "GMX and WEB.DE, postmaster information", sample: "greeting: 421 Reject due to policy violations."},
	{name: "gmx-policy-restriction", stages: "body dot", words: "'mailbox unavailable reject due to policy'", cause: CauseUnknown, source: "GMX and WEB.DE, postmaster information", sample: "dot: 550 Requested action not taken: mailbox unavailable Reject due to policy restrictions."},
	{name: "gmx-sender-domain", words: "'invalid dns mx|dns mx or'", cause: CauseBadSender, source: "GMX and WEB.DE, postmaster information", sample: "mail: 550 Invalid DNS MX or A/AAAA resource record"},
	{name: "barracuda-blocked", words: "'permanent failure for one or more recipients' '@addr blocked'", cause: CauseReputation, source: "zone-mta", sample: "dot: 550 permanent failure for one or more recipients (user@example.com:blocked)"},
	{name: "zoho-mail-policy", words: "'mailpolicy violation'", cause: CauseUnknown, source: "Zoho", sample: "dot: 554 5.2.3 MailPolicy violation Error delivering to mailboxes"},
	{name: "zoho-policy", words: "'mailbox delivery restricted|mailbox delivery failure'", cause: CauseBadRecipient, source: "Zoho", sample: "rcpt: 452 <user@example.com> Mailbox delivery restricted by policy error"},
	{name: "zoho-domain-refuses", words: "'rejected by destination domain'", cause: CauseUnknown, source: "Zoho", sample: "rcpt: 541 5.4.1 Mail rejected by destination domain"},
	{name: "mailgun-sandbox", words: "'sandbox subdomains|sandbox domain*'", cause: CauseAuth, source: "Mailgun", sample: "rcpt: 421 Domain is not allowed to send: Sandbox subdomains are for test purposes only."},
	{name: "coremail-blocked", words: "'ip is hangup|ip is rejected|smtpport check error|openrelay check|black ip'", cause: CauseReputation, source: coremail, sample: "greeting: 554 smtpport check error."},
	{name: "coremail-sender", words: "'host denies the sender|sender is unvalidated|mail address invalid|mail from invalid'", cause: CauseBadSender, source: coremail, sample: "mail: 553 host denies the sender."},
}
